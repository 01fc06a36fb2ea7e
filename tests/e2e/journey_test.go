package e2e_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/harness"
)

// journey is a session made from a template, with somebody who watches it.
type journey struct {
	t       *testing.T
	api     string
	session string
	project string
	root    string
	watcher *harness.Client
}

// made is what creating a project answers.
type made struct {
	ProjectID string `json:"project_id"`
	SessionID string `json:"session_id"`
	Version   uint64
	Graph     struct {
		Roots []struct {
			ID       string
			Name     string
			Allowed  []string `json:"allowed_children"`
			Children []any
		}
	}
}

func begin(t *testing.T, sys *harness.System) *journey {
	t.Helper()
	api := sys.Command(0).URL + "/api/v1"
	var m made
	harness.Must(t, http.StatusCreated, http.MethodPost, api+"/projects",
		map[string]any{"template_id": "software-project", "project_name": "Lighthouse"}).Decode(t, &m)
	if m.Version != 1 || len(m.Graph.Roots) != 1 || m.Graph.Roots[0].Name != "Lighthouse" || len(m.Graph.Roots[0].Allowed) == 0 {
		t.Fatalf("a new project is %+v", m)
	}
	j := &journey{t: t, api: api, session: m.SessionID, project: m.ProjectID, root: m.Graph.Roots[0].ID}
	j.watcher = harness.Connect(t, "watcher", sys.Edge(0), sys.Command(0), m.SessionID)
	j.watcher.Fetch()
	return j
}

// post sends a request and checks that it became the next version, whose commit consists of these events.
func (j *journey) post(path string, body map[string]any, want ...string) harness.Done {
	j.t.Helper()
	before := j.watcher.Position().Version
	var d harness.Done
	var sent any // no body at all for a nil map
	if body != nil {
		sent = body
	}
	harness.Must(j.t, http.StatusOK, http.MethodPost, j.api+path, sent, "X-Actor", "ann").Decode(j.t, &d)
	if d.Version != before+1 {
		j.t.Fatalf("%s: version %d, want %d", path, d.Version, before+1)
	}
	j.watcher.Reaches(d.Version)
	commits := j.watcher.Commits()
	f := commits[len(commits)-1]
	var got []string
	for _, e := range f.Events {
		got = append(got, e.Event)
	}
	if !slices.Equal(got, want) {
		j.t.Errorf("%s: events\n got  %s\n want %s", path, strings.Join(got, " "), strings.Join(want, " "))
	}
	if f.SessionID != j.session || f.ProjectID != j.project || f.Timestamp == "" || f.CommandID == "" || f.Position != d.Position {
		j.t.Errorf("%s: the frame's common fields are %+v, the answer's position is %s", path, f, d.Position)
	}
	return d
}

func (j *journey) execute(kind string, data map[string]any, want ...string) harness.Done {
	j.t.Helper()
	want = append(append([]string{"command:executing"}, want...), "command:executed")
	return j.post("/commands/execute", map[string]any{"session_id": j.session, "command_type": kind, "data": data}, want...)
}

func TestAProjectFromATemplateIsEditedUndoneSavedAndLoaded(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
	j := begin(t, sys)
	const created, linked, unlinked, deleted = "graph:node-created", "graph:node-linked", "graph:node-unlinked", "graph:node-deleted"

	epic := j.execute("CreateNode", map[string]any{"blueprint_type_id": "epic", "parent_id": j.root, "name": "Lamp"}, created, linked).NodeID
	other := j.execute("CreateNode", map[string]any{"blueprint_type_id": "epic", "parent_id": j.root, "name": "Tower"}, created, linked).NodeID
	story := j.execute("CreateNode", map[string]any{"blueprint_type_id": "story", "parent_id": epic, "name": "Lens"}, created, linked).NodeID
	j.execute("MoveNode", map[string]any{"node_id": story, "new_parent_id": other}, unlinked, linked)
	j.execute("ReorderNode", map[string]any{"node_id": other, "new_index": 0}, unlinked, linked)
	j.execute("UpdateProperty", map[string]any{"node_id": story, "property_id": "name", "new_value": "Big lens"}, "graph:property-changed")
	j.execute("UnlinkNode", map[string]any{"parent_id": other, "child_id": story}, unlinked)
	j.execute("LinkNode", map[string]any{"parent_id": epic, "child_id": story}, linked)
	j.execute("ApplyKit", map[string]any{"target_id": other, "kit_root_id": epic}, created, linked)
	before := j.watcher.Hash()
	j.execute("DeleteNode", map[string]any{"node_id": epic}, unlinked, deleted, unlinked, deleted)
	if name, there := j.watcher.NameOf(story); there {
		t.Errorf("%q survived the deletion of its parent", name)
	}
	undone := j.post("/sessions/"+j.session+"/undo", nil, created, linked, created, linked, "command:undo")
	if undone.Undone == nil || undone.Undone.CommandType != "DeleteNode" || j.watcher.Hash() != before {
		t.Errorf("undo: %+v; the graph is the same: %v", undone.Undone, j.watcher.Hash() == before)
	}
	j.post("/sessions/"+j.session+"/redo", nil, unlinked, deleted, unlinked, deleted, "command:redo")
	j.post("/commands/batch", map[string]any{"session_id": j.session, "commands": []any{
		map[string]any{"command_type": "CreateNode", "data": map[string]any{"blueprint_type_id": "epic", "parent_id": j.root, "ref": "e"}},
		map[string]any{"command_type": "CreateNode", "data": map[string]any{"blueprint_type_id": "story", "parent_id": "e", "name": "Keeper"}},
	}}, "command:executing", created, linked, created, linked, "command:executed")

	j.savesAndLoads(sys)
}

// savesAndLoads saves the project, loads it into a new session and compares the graphs.
func (j *journey) savesAndLoads(sys *harness.System) {
	j.t.Helper()
	version := j.watcher.Position().Version
	var saved struct{ Version uint64 }
	harness.Must(j.t, http.StatusOK, http.MethodPost, j.api+"/sessions/"+j.session+"/save", nil).Decode(j.t, &saved)
	if saved.Version != version {
		j.t.Errorf("saved version %d, want %d: a save moves no version", saved.Version, version)
	}
	j.watcher.Gets("project:saved", func(f harness.Frame) bool { return f.Type == "event" && f.Event == "project:saved" })
	var loaded struct {
		SessionID string `json:"session_id"`
		Graph     json.RawMessage
	}
	harness.Must(j.t, http.StatusOK, http.MethodPost, j.api+"/projects/"+j.project+"/load", map[string]any{}).Decode(j.t, &loaded)
	copied := harness.NewReplica()
	if err := copied.Reset(loaded.Graph); err != nil {
		j.t.Fatal(err)
	}
	if copied.Hash() != j.watcher.Hash() {
		j.t.Error("the loaded project differs from the one that the watcher has followed by events")
	}
}

func TestOneConnectionFollowsSeveralSessionsByMessage(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
	first, second := sys.NewPlan(), sys.NewPlan()
	s := harness.Dial(t, sys.Edge(0), "")

	s.Send(`{"type":"join","id":"1","session_id":"` + first.ID + `"}`)
	s.Want("joined", "1")
	s.Send(`{"type":"join","id":"2","session_id":"` + second.ID + `"}`)
	s.Want("joined", "2")
	sys.Joins("ann", first, sys.Edge(0)).Creates("house", "plan")
	if f := s.Want("commit", ""); f.SessionID != first.ID {
		t.Errorf("the commit is of %s", f.SessionID)
	}
	s.Send(`{"type":"leave","id":"3","session_id":"` + first.ID + `"}`)
	s.Want("left", "3")
	sys.Joins("ann", first, sys.Edge(0)).Creates("barn", "plan")
	sys.Joins("ben", second, sys.Edge(0)).Creates("boat", "plan")
	if f := s.Want("commit", ""); f.SessionID != second.ID {
		t.Errorf("after leaving, a commit of %s", f.SessionID)
	}
	s.Send(`{"type":"ping","id":"4"}`)
	s.Want("pong", "4")
}

func TestJoiningAnUnknownSessionByURLEndsWith4004(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})

	s := harness.Dial(t, sys.Edge(0), "?session_id=0190a000-0000-7000-8000-00000000dead")

	if f := s.Want("error", ""); f.Code != "INVALID_SESSION" {
		t.Errorf("code %q", f.Code)
	}
	if code := s.CloseCode(); code != 4004 {
		t.Errorf("close code %d, want 4004", code)
	}
}

func TestDeletingASessionSendsItsClientsAway(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))

	harness.Must(t, http.StatusNoContent, http.MethodDelete, sys.Command(0).URL+"/api/v1/sessions/"+plan.ID, nil)

	if code := ann.IsClosed(); code != 4004 {
		t.Errorf("close code %d, want 4004", code)
	}
	a := harness.Must(t, http.StatusNotFound, http.MethodGet, sys.Command(0).URL+"/api/v1/sessions/"+plan.ID+"/info", nil)
	if a.Code() != "INVALID_SESSION" || !strings.Contains(string(a.Body), "Session not found") {
		t.Errorf("%s", a.Body)
	}
}
