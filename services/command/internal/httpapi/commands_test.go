package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestACommandAnswersWithItsCommitAndTheGraph(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	id := uuid.NewString()

	r := p.want(t, 200, "POST", "/api/v1/commands/execute", object{
		"session_id": p.id, "command_type": "CreateNode", "command_id": id, "unknown": "ignored",
		"data": object{"blueprint_type_id": "tree_item", "parent_id": p.root, "name": "Übung \"1\"", "extra": 1},
	})

	if r.at("success") != true || r.str("command_id") != id || r.num("version") != 2 || r.at("undo_available") != true ||
		r.at("redo_available") != false || r.at("is_dirty") != true || r.str("epoch") == "" {
		t.Errorf("got %s", r.text)
	}
	if name := r.str("graph", "roots", 0, "children", 0, "name"); name != `Übung "1"` || r.at("graph", "roots", 0, "children", 0, "id") != r.at("node_id") {
		t.Errorf("the graph does not have the node: %s", r.text)
	}
	if etag := r.header.Get("ETag"); etag != `"`+r.str("position")+`"` || !strings.HasPrefix(r.str("position"), r.str("epoch")+".2.") {
		t.Errorf("ETag %s, position %s", etag, r.str("position"))
	}
}

func TestPreferDecidesWhatIsInTheAnswer(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	data := object{"blueprint_type_id": "tree_item", "parent_id": p.root}
	for prefer, want := range map[string]struct {
		graph, events bool
		applied       string
	}{
		"":                                {graph: true},
		"wait=5":                          {graph: true},
		"return=minimal":                  {applied: "return=minimal"},
		`respond-async, return="minimal"`: {applied: "return=minimal"},
		"return=representation":           {graph: true, events: true, applied: "return=representation"},
	} {
		r := p.command(t, "CreateNode", data, "Prefer", prefer)

		if (r.at("graph") != nil) != want.graph || (r.at("events") != nil) != want.events || r.header.Get("Preference-Applied") != want.applied {
			t.Errorf("%q: got %s, applied %q", prefer, r.text, r.header.Get("Preference-Applied"))
		}
		if want.events && (r.str("events", 0, "event") != "command:executing" || r.at("events", 1, "data", "node_id") != r.at("node_id")) {
			t.Errorf("events: %s", r.text)
		}
		if r.str("node_id") == "" || r.num("version") == 0 {
			t.Errorf("%q: incomplete: %s", prefer, r.text)
		}
	}
}

func TestTheSessionMayBeNamedByAHeader(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	body := object{"command_type": "CreateNode", "data": object{"blueprint_type_id": "tree_item"}}

	r := p.want(t, 200, "POST", "/api/v1/commands/execute", body, "X-Session-ID", p.id)
	state := p.want(t, 200, "GET", "/api/v1/commands/state", nil, "X-Session-ID", p.id)

	if r.num("version") != 2 || state.num("history_count") != 1 {
		t.Errorf("got %s and %s", r.text, state.text)
	}
}

func TestABatchIsOneCommitOrNothing(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	folder := object{"command_type": "CreateNode", "data": object{"blueprint_type_id": "tree_folder", "parent_id": p.root, "ref": "f"}}
	item := object{"command_type": "CreateNode", "data": object{"blueprint_type_id": "tree_item", "parent_id": "f", "name": "inside"}}
	refused := object{"command_type": "DeleteNode", "data": object{"node_id": uuid.NewString()}}
	send := func(commands ...object) reply {
		return p.send(t, "POST", "/api/v1/commands/batch", object{"session_id": p.id, "label": "two", "commands": commands})
	}

	made := send(folder, item)
	before := p.state(t)
	failed := send(folder, refused)

	if made.status != 200 || made.num("version") != 2 || len(made.at("results").([]any)) != 2 ||
		made.str("results", 1, "node_id") == "" || made.str("results", 0, "node_id") == "" {
		t.Fatalf("got %s", made.text)
	}
	if made.str("graph", "roots", 0, "children", 0, "children", 0, "name") != "inside" {
		t.Errorf("the graph is %s", made.text)
	}
	requireClear(t, "refused", failed, 404, "NODE_NOT_FOUND")
	if failed.str("error", "details", "command") != "1" {
		t.Errorf("the culprit is not named: %s", failed.text)
	}
	if after := p.state(t); after != before {
		t.Errorf("a refused batch changed the session")
	}
	if undone := p.want(t, 200, "POST", p.path("/undo"), nil); undone.str("undone", "command_type") != "Batch" ||
		len(undone.at("graph", "roots", 0, "children").([]any)) != 0 {
		t.Errorf("undo: %s", undone.text)
	}
}

func TestCommandsNeedAProject(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.want(t, 201, "POST", "/api/v1/sessions", nil).str("session_id")

	r := s.send(t, "POST", "/api/v1/commands/execute", object{"session_id": id, "command_type": "CreateNode", "data": object{}})

	requireClear(t, "command", r, 400, "INVALID_STATE")
	requireClear(t, "graph", s.send(t, "GET", "/api/v1/sessions/"+id+"/graph", nil), 404, "NO_PROJECT")
}

func TestNothingOfARequestOutlivesIt(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	var ids []string
	for i := range 50 {
		ids = append(ids, p.command(t, "CreateNode", object{"blueprint_type_id": "tree_item", "parent_id": p.root,
			"name": fmt.Sprintf("name %02d", i), "properties": object{"notes": fmt.Sprintf("notes %02d", i)}},
			"X-Actor", fmt.Sprintf("actor %02d", i), "Prefer", "return=minimal").str("node_id"))
	}

	r := p.want(t, 200, "GET", p.path("/graph"), nil)

	for i, id := range ids {
		n := p.want(t, 200, "GET", p.path("/graph/nodes/"+id), nil)
		if n.str("name") != fmt.Sprintf("name %02d", i) || !strings.Contains(n.text, fmt.Sprintf("notes %02d", i)) ||
			r.str("graph", "roots", 0, "children", i, "name") != fmt.Sprintf("name %02d", i) {
			t.Fatalf("node %d is %s", i, n.text)
		}
	}
	stack := p.want(t, 200, "GET", "/api/v1/commands/state?session_id="+p.id, nil)
	for i := range 20 {
		if got, want := stack.str("undo", i, "actor"), fmt.Sprintf("actor %02d", 49-i); got != want {
			t.Errorf("actor %d: got %q, want %q", i, got, want)
		}
	}
}

func TestWithoutRedisTheServiceSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	p.redis.Close()

	r := p.send(t, "POST", "/api/v1/commands/execute", object{"session_id": p.id, "command_type": "CreateNode",
		"data": object{"blueprint_type_id": "tree_item"}})

	requireClear(t, "command", r, 503, "UNAVAILABLE")
	if r.header.Get("Retry-After") == "" || r.at("retryable") != true {
		t.Errorf("got %s, Retry-After %q", r.text, r.header.Get("Retry-After"))
	}
	requireClear(t, "read", p.send(t, "GET", p.path("/graph"), nil), 503, "UNAVAILABLE")
}
