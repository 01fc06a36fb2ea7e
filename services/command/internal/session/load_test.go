package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/loadgraph"
	"github.com/talus-tally/talus/services/command/internal/project"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// document is a flat project: a root and n folders under it. Ids are no UUIDs.
func document(t testing.TB, n int, extra string) *loadgraph.Document {
	t.Helper()
	var body strings.Builder
	body.WriteString(`{"template_id":"generic-tree",` + extra + `"graph":{"nodes":[{"id":"root","type":"tree_root","name":"Estate"}`)
	for i := range n {
		fmt.Fprintf(&body, `,{"id":"n%d","type":"tree_folder","name":"Folder %d","parent_id":"root"}`, i, i)
	}
	body.WriteString(`]}}`)
	d, err := loadgraph.Parse([]byte(body.String()), loadgraph.Limits{})
	must(t, err)
	return d
}

const blocks = `"blocking_relationships":[{"blockedNodeId":"n1","blockingNodeId":"n0"}],`

func TestALoadedGraphReplacesWhatWasThere(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	behind := d.on(start(t, options{}))
	behind.creates("Garden")
	d.undoes()
	d.creates("Shed")

	r, err := d.LoadGraph(d.ctx, document(t, 3, blocks), session.Call{Actor: "ann", Render: true, WantEvents: true})
	must(t, err)

	if r.UndoAvailable || r.RedoAvailable || !r.Dirty || r.Project == d.made.Project || r.Orphans == nil || r.Graph == nil {
		t.Errorf("the result is %+v", r)
	}
	if got, ids := behind.name(loadgraph.MapID("n2")), behind.name(d.root); got != "Folder 2" || ids != "" {
		t.Errorf("the other instance sees %q and %q", got, ids)
	}
	info := behind.info()
	if info.Project != r.Project || info.Nodes != 4 || info.UndoAvailable || info.RedoAvailable || info.Position != r.Position {
		t.Errorf("info is %+v", info)
	}
	records := d.records()
	last := records[len(records)-1]
	if !slices.Equal(names(last), []wire.EventName{wire.ProjectLoaded}) || last.Flags != 0 {
		t.Errorf("told %v with flags %d", names(last), last.Flags)
	}
	if string(r.Events[0].Fields) != `"graph":`+string(r.Graph.JSON) {
		t.Errorf("the event carries %s", r.Events[0].Fields)
	}
	want := []session.Relationship{{Blocked: loadgraph.MapID("n1"), Blocking: loadgraph.MapID("n0")}}
	if got, err := behind.Blocking(behind.ctx); err != nil || !slices.Equal(got, want) {
		t.Errorf("blocking: %v, %v", got, err)
	}
	behind.renames(loadgraph.MapID("n2"), "Pond")
	d.undoes()
	h, _ := d.hash()
	if h2, _ := behind.hash(); h != h2 || d.name(loadgraph.MapID("n2")) != "Folder 2" {
		t.Error("the loaded graph does not go on")
	}
}

func TestALargeLoadedGraphIsNotSent(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()

	r, err := d.LoadGraph(d.ctx, document(t, 5000, ""), session.Call{WantEvents: true, Key: uuid.NewString()})
	must(t, err)

	if got := string(r.Events[0].Fields); got != `"graph":null` {
		t.Errorf("the event carries %d bytes", len(got))
	}
	records := d.records()
	if last := records[len(records)-1]; last.Flags&wire.FlagIncomplete == 0 {
		t.Error("the record does not say that its events are not all")
	}
	if info := d.info(); info.Nodes != 5001 {
		t.Errorf("info is %+v", info)
	}
	if list, err := d.Blocking(d.ctx); len(list) != 0 || err != nil {
		t.Errorf("blocking: %v, %v", list, err)
	}
}

func TestALoadIsRepeatedByItsKey(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	call := session.Call{Key: uuid.NewString()}

	first, err := d.LoadGraph(d.ctx, document(t, 3, ""), call)
	must(t, err)
	second, err := d.LoadGraph(d.ctx, document(t, 3, ""), call)
	must(t, err)

	if !second.Replayed || second.Position != first.Position || second.Project != first.Project {
		t.Errorf("first %+v, then %+v", first, second)
	}
}

func TestAGraphWithoutAKnownTemplateHasNoRules(t *testing.T) {
	t.Parallel()
	i := start(t, options{})
	info, err := i.Create(t.Context(), session.Call{})
	must(t, err)
	d := &desk{instance: i, ctx: session.NewContext(t.Context(), info.Session), id: info.Session}
	doc, err := loadgraph.Parse([]byte(`{"template_id":"unheard-of","graph":{"nodes":[{"id":"a","type":"whatever","name":"A"}]}}`), loadgraph.Limits{})
	must(t, err)

	_, err = d.LoadGraph(d.ctx, doc, session.Call{})
	must(t, err)

	d.does("CreateNode", map[string]any{"blueprint_type_id": "anything", "parent_id": loadgraph.MapID("a")})
	if info := d.info(); info.Template != "unheard-of" || info.Nodes != 2 {
		t.Errorf("info is %+v", info)
	}
}

func TestTheEventsOfAHugeCommitAreNotSent(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	behind := d.on(start(t, options{}))
	_, err := d.LoadGraph(d.ctx, document(t, 6000, ""), session.Call{})
	must(t, err)
	behind.name(d.root)

	r, err := d.try("DeleteNode", map[string]any{"node_id": loadgraph.MapID("root")}, session.Call{WantEvents: true})
	must(t, err)
	undone := d.undoes()

	want := []wire.EventName{wire.CommandExecuting, wire.ProjectLoaded, wire.CommandExecuted}
	records := d.records()
	deleted := records[r.Position.Version-1]
	if !slices.Equal(names(deleted), want) || deleted.Flags&wire.FlagIncomplete == 0 || len(r.Events) != 3 {
		t.Errorf("told %v with flags %d", names(deleted), deleted.Flags)
	}
	if undone.Undone.Command != r.Command || d.info().Nodes != 6001 {
		t.Errorf("undone %+v, %d nodes", undone.Undone, d.info().Nodes)
	}
	h, _ := d.hash()
	if h2, _ := behind.hash(); h != h2 {
		t.Error("the other instance could not follow")
	}
}

func TestASavedProjectIsLoadedAsItWas(t *testing.T) {
	t.Parallel()
	store, err := project.Open("sqlite::memory:", nil)
	must(t, err)
	d := start(t, options{projects: store}).project()
	_, err = d.LoadGraph(d.ctx, document(t, 3, blocks), session.Call{})
	must(t, err)
	saved, err := d.Save(d.ctx)
	must(t, err)
	want, at := d.hash()

	call := session.Call{Key: uuid.NewString(), Render: true}
	r, err := d.LoadProject(t.Context(), saved.Project, call)
	must(t, err)
	again, err := d.LoadProject(t.Context(), saved.Project, call)
	must(t, err)

	if saved.Dirty || saved.Position != at || saved.Session != d.id {
		t.Errorf("saved %+v, want position %v", saved, at)
	}
	if r.Session == d.id || r.Project != saved.Project || r.Dirty || again.Session != r.Session || !again.Replayed {
		t.Errorf("loaded %+v, then %+v", r, again)
	}
	other := &desk{instance: d.instance, ctx: session.NewContext(t.Context(), r.Session), id: r.Session}
	if got, _ := other.hash(); got != want {
		t.Error("the graph is another one")
	}
	if list, err := other.Blocking(other.ctx); err != nil || len(list) != 1 {
		t.Errorf("blocking: %v, %v", list, err)
	}
	if _, err := d.LoadProject(d.ctx, saved.Project, session.Call{}); err != nil || d.info().Dirty {
		t.Errorf("into the session: %v, dirty %v", err, d.info().Dirty)
	}
}

func TestASaveIsNoCommitAndIsTold(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	d.creates("Garden")
	dirty := d.info()

	saved, err := d.Save(d.ctx)
	must(t, err)

	clean := d.info()
	if !dirty.Dirty || clean.Dirty || saved.Dirty || clean.Position != dirty.Position || saved.Position != dirty.Position {
		t.Errorf("before %+v, after %+v, saved %+v", dirty, clean, saved)
	}
	told := d.ear.events()
	if len(told) != 1 || told[0].Name != wire.ProjectSaved || string(told[0].Fields) != `"saved_version":2` {
		t.Errorf("told %+v", told)
	}
	d.undoes()
	if !d.info().Dirty {
		t.Error("an undo after the save left the session clean")
	}
	reset, err := d.ResetDirty(d.ctx)
	if must(t, err); reset.Dirty || d.info().Dirty {
		t.Error("the session is still dirty")
	}
}

func TestAnOldSaveNeverReplacesANewerOneOnTheSameBranch(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	restore := d.backup()
	d.creates("lost")
	d.creates("lost too")
	lost, err := d.Save(d.ctx)
	must(t, err)
	restore()
	d.renames(d.root, "Estate")

	onBranch, err := d.Save(d.ctx) // older by number, but the stored one is on no branch any more
	must(t, err)
	stored, err := d.Project(d.ctx, d.made.Project)
	must(t, err)

	if lost.Position.Version != 3 || onBranch.Position.Version != 2 || stored.Version != 2 || stored.Name != "Estate" {
		t.Errorf("lost %v, saved %v, stored %+v", lost.Position, onBranch.Position, stored)
	}
	if stored.Session != d.id || !strings.Contains(string(stored.Graph.JSON), "Estate") {
		t.Errorf("stored %+v", stored)
	}
}

func TestProjectsAreListedFoundAndDeleted(t *testing.T) {
	t.Parallel()
	store, err := project.Open("sqlite::memory:", nil)
	must(t, err)
	i := start(t, options{projects: store})
	d := i.project()

	_, unsaved := i.Project(t.Context(), d.made.Project)
	_, err = i.SaveProject(t.Context(), d.made.Project)
	must(t, err)
	page, err := i.Projects(t.Context(), 10, "")
	must(t, err)
	var live, stored session.View
	must(t, i.ViewProject(t.Context(), d.made.Project, func(v session.View) error { live = v; return nil }))
	must(t, i.Delete(d.ctx))
	must(t, i.ViewProject(t.Context(), d.made.Project, func(v session.View) error { stored = v; return nil }))

	if !errors.Is(unsaved, session.ErrProjectNotFound) {
		t.Errorf("before the save: %v", unsaved)
	}
	if page.Total != 1 || len(page.Projects) != 1 || page.Projects[0].ID != d.made.Project || page.Projects[0].Name != "House" {
		t.Errorf("listed %+v", page)
	}
	if live.Info.Session != d.id || stored.Info.Session != uuid.Nil || graph.Hash(live.Graph) != graph.Hash(stored.Graph) {
		t.Errorf("live %+v, stored %+v", live.Info, stored.Info)
	}
	must(t, i.DeleteProject(t.Context(), d.made.Project))
	for name, err := range map[string]error{
		"delete": i.DeleteProject(t.Context(), d.made.Project),
		"view":   i.ViewProject(t.Context(), d.made.Project, func(session.View) error { return nil }),
		"save":   second(i.SaveProject(t.Context(), d.made.Project)),
		"load":   second(i.LoadProject(t.Context(), d.made.Project, session.Call{})),
	} {
		if !errors.Is(err, session.ErrProjectNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAProjectInSeveralSessionsMustBeNamedWithOne(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	must(t, second(d.Save(d.ctx)))
	r, err := d.LoadProject(t.Context(), d.made.Project, session.Call{})
	must(t, err)
	named := session.NewContext(t.Context(), r.Session)

	if _, err := d.SaveProject(t.Context(), d.made.Project); !errors.Is(err, session.ErrManySessions) {
		t.Errorf("none named: %v", err)
	}
	if saved, err := d.SaveProject(named, d.made.Project); err != nil || saved.Session != r.Session {
		t.Errorf("one named: %+v, %v", saved, err)
	}
	if _, err := d.SaveProject(named, newID()); !errors.Is(err, session.ErrProjectNotFound) {
		t.Errorf("a session with another project: %v", err)
	}
}

func TestIdleSessionsWithoutClientsAreRemoved(t *testing.T) {
	t.Parallel()
	i := start(t, options{})
	watched, idle := i.project(), i.project()
	edge := uuid.NewString()
	must(t, i.log.BeginLease(t.Context(), edge))
	must(t, i.log.SetClients(t.Context(), watched.id, edge, 3))
	if got := watched.info().Clients; got != 3 {
		t.Errorf("%d clients, want 3", got)
	}

	if _, _, err := i.Cleanup(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Info(idle.ctx); err != nil {
		t.Fatalf("a session that was used just now: %v", err)
	}
	page, err := i.List(t.Context(), 10_000, "")
	must(t, err)

	found := slices.IndexFunc(page.Sessions, func(s session.Info) bool { return s.Session == watched.id })
	if found < 0 || page.Sessions[found].Clients != 3 || page.Total < 2 {
		t.Errorf("listed %+v", page)
	}
}

func TestALoadThatFailsLeavesNoSessionBehind(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t) // a Redis of its own, to count sessions
	i := start(t, options{url: "redis://" + mini.Addr() + "/0"})
	store := project.NewRedis(i.rdb)
	lost := &graph.Node{ID: newID(), Type: "t", Parent: newID(), Order: graph.OrderKeys(1)[0]}
	damaged := project.Project{
		Summary: project.Summary{ID: newID(), Name: "Ruin", Position: wire.Position{Epoch: 1, Version: 1}},
		Nodes:   []wire.Image{{Node: lost.ID, Bytes: graph.AppendImage(nil, lost)}},
	}
	must(t, store.Save(t.Context(), damaged, wire.Position{}))
	conditional := session.Call{IfMatch: session.Match{Positions: []wire.Position{{Epoch: 1, Version: 1}}}}

	_, load := i.LoadProject(t.Context(), damaged.ID, session.Call{})
	_, create := i.CreateProject(t.Context(), tree, "House", conditional)

	if !errors.Is(load, graph.ErrBroken) || !errors.As(create, new(*session.MatchError)) {
		t.Errorf("load %v, create %v", load, create)
	}
	if page, err := i.List(t.Context(), 10, ""); err != nil || page.Total != 0 || len(page.Sessions) != 0 {
		t.Errorf("left behind: %+v, %v", page, err)
	}
}
