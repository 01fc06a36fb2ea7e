package session_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/session"
)

func TestACommandIsOneCommitWithItsEventsInOrder(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()

	r, err := d.try("CreateNode", d.folder("Garden"), session.Call{Actor: "ann", Render: true, WantEvents: true})
	must(t, err)

	records := d.records()
	if len(records) != 2 || records[1].Position() != r.Position || r.Position.Version != 2 {
		t.Fatalf("got version %d and %d records, want 2 and 2", r.Position.Version, len(records))
	}
	want := []wire.EventName{wire.CommandExecuting, wire.NodeCreated, wire.NodeLinked, wire.CommandExecuted}
	if got := names(records[1]); !slices.Equal(got, want) || len(r.Events) != len(want) {
		t.Errorf("events are %v, want %v", got, want)
	}
	frame := string(records[1].AppendCommitFrame(nil))
	for _, part := range []string{
		`"command_type":"CreateNode"`, `"actor":"ann"`, `"command_id":"` + r.Command.String() + `"`,
		`"project_id":"` + d.made.Project.String() + `"`, `"result":{"node_id":"` + r.Node.String() + `"}`, `"success":true`,
	} {
		if !strings.Contains(frame, part) {
			t.Errorf("%s is not in %s", part, frame)
		}
	}
	if !r.UndoAvailable || r.RedoAvailable || !r.Dirty || r.Replayed || r.Project != d.made.Project {
		t.Errorf("the result is %+v", r)
	}
	if r.Graph == nil || r.Graph.Position != r.Position || !strings.Contains(string(r.Graph.JSON), "Garden") {
		t.Errorf("the graph in the answer is not the one of the commit")
	}
}

func TestANewProjectIsOneRootAtVersionOne(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()

	info := d.info()

	if info.Position != d.made.Position || info.Position.Version != 1 || info.Nodes != 1 || info.Template != tree {
		t.Errorf("info is %+v", info)
	}
	if info.UndoAvailable || info.RedoAvailable || !info.Dirty || !info.HasProject() || info.Clients != 0 {
		t.Errorf("info is %+v", info)
	}
	if got := d.name(d.root); got != "House" {
		t.Errorf("the root is called %q", got)
	}
	g, at := d.fold()
	h, pos := d.hash()
	if graph.Hash(g) != h || at != pos {
		t.Error("the log does not make the graph")
	}
}

func TestAProjectThatIsRefusedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	i := start(t, options{})

	_, unknown := i.CreateProject(t.Context(), "no-such-template", "House", session.Call{})
	call := session.Call{Key: uuid.NewString()}
	_, tooLong := i.CreateProject(t.Context(), tree, strings.Repeat("x", 1001), call)

	if !errors.Is(unknown, blueprint.ErrNotFound) {
		t.Errorf("unknown template: %v", unknown)
	}
	if r := new(*graph.Rejection); !errors.As(tooLong, r) {
		t.Errorf("long name: %v", tooLong)
	}
	if r, err := i.CreateProject(t.Context(), tree, "House", call); err != nil || r.Replayed {
		t.Errorf("the same key works afterwards: %+v, %v", r, err)
	}
}

func TestARefusedCommandChangesNothingAndIsTold(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	before, at := d.hash()

	_, err := d.try("DeleteNode", map[string]any{"node_id": newID()}, session.Call{Actor: "bob"})

	var r *graph.Rejection
	if !errors.As(err, &r) || r.Reason != graph.NodeNotFound {
		t.Fatalf("got %v, want a rejection", err)
	}
	if after, pos := d.hash(); after != before || pos != at {
		t.Error("the graph has changed")
	}
	told := d.ear.events()
	if len(told) != 1 || told[0].Name != wire.CommandFailed || told[0].Session != d.id {
		t.Fatalf("told %+v, want one command:failed", told)
	}
	frame := string(told[0].AppendEventFrame(nil))
	for _, part := range []string{`"success":false`, `"code":"NODE_NOT_FOUND"`, `"actor":"bob"`, `"command_type":"DeleteNode"`} {
		if !strings.Contains(frame, part) {
			t.Errorf("%s is not in %s", part, frame)
		}
	}
}

func TestWhatIsWrongWithTheSessionIsToldBeforeWhatIsWrongWithTheCommand(t *testing.T) {
	t.Parallel()
	i := start(t, options{})
	empty, err := i.Create(t.Context(), session.Call{})
	must(t, err)

	for name, test := range map[string]struct {
		session uuid.UUID
		want    error
	}{
		"none named":        {uuid.Nil, session.ErrNoSession},
		"unknown":           {newID(), session.ErrNoSession},
		"no project loaded": {empty.Session, session.ErrInvalidState},
	} {
		ctx := session.NewContext(t.Context(), test.session)
		if _, err := i.Execute(ctx, "Nonsense", []byte(`{}`), session.Call{}); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	if _, err := i.GraphJSON(session.NewContext(t.Context(), empty.Session)); !errors.Is(err, session.ErrNoProject) {
		t.Errorf("graph of an empty session: %v", err)
	}
	var r *graph.Rejection
	if _, err := i.project().try("Nonsense", nil, session.Call{}); !errors.As(err, &r) || r.Reason != graph.InvalidCommand {
		t.Errorf("unknown command: %v", err)
	}
	if told := i.ear.events(); len(told) != 0 {
		t.Errorf("told %v about commands that nobody could read", told)
	}
}

func TestAnOldIfMatchIsAConflictAndChangesNothing(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	old := d.made.Position
	d.creates("Garden")
	before, at := d.hash()

	_, err := d.try("CreateNode", d.folder("Shed"), session.Call{IfMatch: session.Match{Positions: []wire.Position{old}}})

	var conflict *session.MatchError
	if !errors.As(err, &conflict) || conflict.Current != at {
		t.Fatalf("got %v, want a match error at version %d", err, at.Version)
	}
	if after, pos := d.hash(); after != before || pos != at {
		t.Error("the graph has changed")
	}
	fits := session.Match{Positions: []wire.Position{old, at}}
	if _, err := d.try("CreateNode", d.folder("Shed"), session.Call{IfMatch: fits}); err != nil {
		t.Errorf("a position that fits: %v", err)
	}
	if _, err := d.try("CreateNode", d.folder("Pond"), session.Call{IfMatch: session.Match{Any: true}}); err != nil {
		t.Errorf("any position: %v", err)
	}
}

func TestABatchIsOneCommitAndOneStep(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	garden := d.folder("Garden")
	garden["ref"] = "garden"
	shed := map[string]any{"blueprint_type_id": "tree_item", "parent_id": "garden", "name": "Shed"}
	items := []session.Item{
		{Type: "CreateNode", Data: object(t, garden)},
		{Type: "CreateNode", Data: object(t, shed)},
		{Type: "UpdateProperty", Data: object(t, rename(d.root, "Estate"))},
	}

	call := session.Call{Key: uuid.NewString()}
	r, err := d.Batch(d.ctx, items, "move in", call)
	must(t, err)
	again, err := d.Batch(d.ctx, items, "move in", call)
	must(t, err)

	if r.Position.Version != 2 || len(r.Nodes) != 3 || r.Nodes[0] == uuid.Nil || r.Nodes[2] != uuid.Nil || r.Type != "Batch" {
		t.Fatalf("the result is %+v", r)
	}
	if d.name(r.Nodes[1]) != "Shed" || d.name(d.root) != "Estate" {
		t.Error("not all of the batch was done")
	}
	if !again.Replayed || !slices.Equal(again.Nodes, r.Nodes) {
		t.Errorf("the repeat says %+v", again)
	}
	if _, err := d.Undo(d.ctx, session.UndoRequest{}, session.Call{}); err != nil {
		t.Fatal(err)
	}
	if g, _ := d.fold(); g.Len() != 1 || d.name(d.root) != "House" {
		t.Error("the batch was not undone whole")
	}
}

func TestABatchWithOneBadCommandDoesNothing(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	items := []session.Item{
		{Type: "CreateNode", Data: object(t, d.folder("Garden"))},
		{Type: "DeleteNode", Data: object(t, map[string]any{"node_id": newID()})},
	}

	_, err := d.Batch(d.ctx, items, "", session.Call{})

	var r *graph.Rejection
	if !errors.As(err, &r) || r.Details["command"] != "1" {
		t.Errorf("got %v", err)
	}
	if info := d.info(); info.Position != d.made.Position || info.Nodes != 1 {
		t.Errorf("info is %+v", info)
	}
}

func TestWithoutAnEmitterCommandsWorkAndNothingIsPublished(t *testing.T) {
	t.Parallel()
	i := start(t, options{silent: true})
	d := i.project()
	heard := i.rdb.PSubscribe(t.Context(), "talus:*"+d.id.String()+"*")
	defer func() { _ = heard.Close() }()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}

	garden := d.creates("Garden")
	_, refused := d.try("DeleteNode", map[string]any{"node_id": newID()}, session.Call{})
	_, saveErr := d.Save(d.ctx)
	must(t, i.rdb.Publish(t.Context(), "talus:end:"+d.id.String(), "end").Err())

	if d.name(garden) != "Garden" || refused == nil || saveErr != nil {
		t.Errorf("commands do not work: %v, %v", refused, saveErr)
	}
	message, err := heard.ReceiveMessage(t.Context())
	must(t, err)
	if message.Payload != "end" {
		t.Errorf("%q was published on %s", message.Payload, message.Channel)
	}
}

func TestTheSameKeyTenTimesInParallelCommitsOnce(t *testing.T) {
	t.Parallel()
	a, b := start(t, options{}), start(t, options{})
	d := a.project()
	desks := []*desk{d, d.on(b)}
	call := session.Call{Actor: "ann", Key: uuid.NewString(), Fingerprint: [16]byte{1}}
	results, errs := make([]session.Result, 10), make([]error, 10)

	var all sync.WaitGroup
	for n := range results {
		all.Go(func() { results[n], errs[n] = desks[n%2].try("CreateNode", d.folder("Garden"), call) })
	}
	all.Wait()

	first := 0
	for n, r := range results {
		must(t, errs[n])
		if !r.Replayed {
			first++
		}
		r.Replayed = results[0].Replayed
		if r.Position != results[0].Position || r.Node != results[0].Node || r.Command != results[0].Command || r.Type != "CreateNode" {
			t.Errorf("answer %d is %+v, the first is %+v", n, r, results[0])
		}
	}
	if got := len(d.records()); got != 2 || first != 1 {
		t.Errorf("%d records and %d first answers, want 2 and 1", got, first)
	}
}

func TestARepeatIsRecognizedBeforeIfMatchAndRules(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	garden := d.creates("Garden")
	call := session.Call{
		Key: uuid.NewString(), IfMatch: session.Match{Positions: []wire.Position{d.info().Position}}, Render: true, WantEvents: true,
	}
	fields := map[string]any{"node_id": garden}

	first, err := d.try("DeleteNode", fields, call)
	must(t, err)
	d.creates("Shed")
	second, err := d.try("DeleteNode", fields, call)
	must(t, err)

	if !second.Replayed || second.Position != first.Position || second.Command != first.Command {
		t.Errorf("the repeat says %+v, the first %+v", second, first)
	}
	if len(second.Events) != len(first.Events) || second.Graph.Position.Version != first.Position.Version+1 {
		t.Errorf("the repeat has %d events and the graph of version %d", len(second.Events), second.Graph.Position.Version)
	}
	call.Fingerprint[0]++
	if _, err := d.try("DeleteNode", fields, call); !errors.Is(err, session.ErrKeyReused) {
		t.Errorf("another request under the same key: %v", err)
	}
}

func TestARefusalIsNotRemembered(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	call := session.Call{Key: uuid.NewString()}
	child := newID()
	fields := map[string]any{"blueprint_type_id": "tree_item", "parent_id": child}

	_, refused := d.try("CreateNode", fields, call)
	parent := d.folder("Later")
	parent["id"] = child
	d.does("CreateNode", parent)
	r, err := d.try("CreateNode", fields, call)

	if refused == nil || err != nil || r.Replayed {
		t.Errorf("first %v, then %+v, %v", refused, r, err)
	}
}

func TestCreatingWithAKeyTwiceMakesOneSession(t *testing.T) {
	t.Parallel()
	i := start(t, options{})
	call := session.Call{Actor: "ann", Key: uuid.NewString()}

	first, err := i.Create(t.Context(), call)
	must(t, err)
	second, err := i.Create(t.Context(), call)
	must(t, err)
	p, err := i.CreateProject(t.Context(), tree, "House", call)
	must(t, err)
	q, err := i.CreateProject(t.Context(), tree, "House", call)
	must(t, err)
	call.Actor = "bob"
	other, err := i.Create(t.Context(), call)
	must(t, err)

	if first.Session != second.Session || first.Replayed || !second.Replayed || other.Session == first.Session {
		t.Errorf("sessions %v, %v, %v", first, second, other)
	}
	if p.Session != q.Session || p.Project != q.Project || p.Position != q.Position || !q.Replayed || p.Node != q.Node {
		t.Errorf("projects %+v, %+v", p, q)
	}
}
