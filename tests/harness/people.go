package harness

import (
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// Plan is a session that people work on together, with the names they gave to its nodes.
type Plan struct {
	ID string
	t  testing.TB

	mu  sync.Mutex
	ids map[string]string
}

// NewPlan makes a session with one node, "plan", and no template, so that anything may hang under anything.
func (s *System) NewPlan() *Plan {
	s.t.Helper()
	api := s.commands[0].URL + "/api/v1"
	var made struct {
		SessionID string `json:"session_id"`
	}
	Must(s.t, http.StatusCreated, http.MethodPost, api+"/sessions", nil).Decode(s.t, &made)
	root := uuid.NewString()
	Must(s.t, http.StatusOK, http.MethodPost, api+"/sessions/"+made.SessionID+"/load-graph", map[string]any{
		"graph": map[string]any{"nodes": []any{map[string]any{"id": root, "type": "thing", "name": "plan"}}},
	})
	return &Plan{ID: made.SessionID, t: s.t, ids: map[string]string{"plan": root}}
}

// Node is the id of the node that somebody gave the name to; empty if nobody did.
func (p *Plan) Node(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ids[name]
}

func (p *Plan) named(name, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids[name] = id
}

// Person is somebody who watches a plan on one edge and acts through one command instance.
type Person struct {
	*Client
	plan *Plan
	api  string
	edge *Instance
	via  *Instance
}

// Joins lets a person join a plan on an edge. Commands go through the first command instance; Via chooses another.
func (s *System) Joins(name string, plan *Plan, edge *Instance) *Person {
	s.t.Helper()
	return s.JoinsVia(name, plan, edge, s.commands[0])
}

// JoinsVia is Joins with the command instance that the person acts through.
func (s *System) JoinsVia(name string, plan *Plan, edge, via *Instance) *Person {
	s.t.Helper()
	p := &Person{plan: plan, api: via.URL + "/api/v1", edge: edge, via: via}
	p.Client = Connect(s.t, name, edge, via, plan.ID)
	p.Fetch()
	return p
}

// Done is what a command answered.
type Done struct {
	CommandID string `json:"command_id"`
	Version   uint64 `json:"version"`
	Position  string `json:"position"`
	NodeID    string `json:"node_id"`
	Undone    *struct {
		Version     uint64 `json:"version"`
		CommandType string `json:"command_type"`
	} `json:"undone"`
}

// Does executes a command and fails the test unless it is accepted.
func (p *Person) Does(commandType string, data map[string]any) Done {
	p.t.Helper()
	var d Done
	Must(p.t, http.StatusOK, http.MethodPost, p.api+"/commands/execute",
		map[string]any{"session_id": p.plan.ID, "command_type": commandType, "data": data},
		"Prefer", "return=minimal", "X-Actor", p.name).Decode(p.t, &d)
	return d
}

// MayNot executes a command and fails the test unless it is refused with the code.
func (p *Person) MayNot(code, commandType string, data map[string]any) {
	p.t.Helper()
	a, err := Do(http.MethodPost, p.api+"/commands/execute",
		map[string]any{"session_id": p.plan.ID, "command_type": commandType, "data": data})
	if err != nil {
		p.t.Fatal(err)
	}
	if a.Code() != code {
		p.t.Fatalf("%s: %d %q, want %q\n%s", commandType, a.Status, a.Code(), code, a.Body)
	}
}

// Creates makes a node under another one.
func (p *Person) Creates(name, under string) Done {
	p.t.Helper()
	return p.CreatesWith(name, under, nil)
}

// CreatesWith makes a node with properties.
func (p *Person) CreatesWith(name, under string, properties map[string]any) Done {
	p.t.Helper()
	data := map[string]any{"blueprint_type_id": "thing", "name": name}
	if under != "" {
		data["parent_id"] = p.plan.Node(under)
	}
	if properties != nil {
		data["properties"] = maps.Clone(properties)
	}
	d := p.Does("CreateNode", data)
	p.plan.named(name, d.NodeID)
	return d
}

// Moves hangs a node under another one.
func (p *Person) Moves(name, under string) Done {
	p.t.Helper()
	return p.Does("MoveNode", map[string]any{"node_id": p.plan.Node(name), "new_parent_id": p.plan.Node(under)})
}

// Renames gives a node another name.
func (p *Person) Renames(name, to string) Done {
	p.t.Helper()
	d := p.Does("UpdateProperty", map[string]any{"node_id": p.plan.Node(name), "property_id": "name", "new_value": to})
	p.plan.named(to, p.plan.Node(name))
	return d
}

// Deletes removes a node and all below it.
func (p *Person) Deletes(name string) Done {
	p.t.Helper()
	return p.Does("DeleteNode", map[string]any{"node_id": p.plan.Node(name)})
}

// Undoes takes the last command of the session back.
func (p *Person) Undoes() Done { p.t.Helper(); return p.turnsBack("undo") }

// Redoes does it again.
func (p *Person) Redoes() Done { p.t.Helper(); return p.turnsBack("redo") }

func (p *Person) turnsBack(what string) Done {
	p.t.Helper()
	var d Done
	Must(p.t, http.StatusOK, http.MethodPost, p.api+"/sessions/"+p.plan.ID+"/"+what, nil, "Prefer", "return=minimal").Decode(p.t, &d)
	return d
}

// Sees waits until a node of that name is in the person's replica.
func (p *Person) Sees(name string) {
	p.t.Helper()
	p.await("a node named "+name, func() bool { return p.replica.Has(name) })
}

// Knows reports whether a node of that name is in the person's replica now.
func (p *Person) Knows(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.replica.Has(name)
}

// NoLongerSees waits until no node of that name is left.
func (p *Person) NoLongerSees(name string) {
	p.t.Helper()
	p.await("the end of "+name, func() bool { return !p.replica.Has(name) })
}

// SeesUnder waits until one node hangs under another.
func (p *Person) SeesUnder(name, parent string) {
	p.t.Helper()
	id, under := p.plan.Node(name), p.plan.Node(parent)
	p.await(name+" under "+parent, func() bool {
		_, there := p.replica.NameOf(id)
		return there && p.replica.ParentOf(id) == under
	})
}

// Leaves closes the person's connection without ceremony.
func (p *Person) Leaves() { p.Close() }

// Reconnects comes back on an edge with the position that the person holds.
func (p *Person) Reconnects(edge *Instance) {
	p.t.Helper()
	p.Close()
	p.Client, p.edge = p.Client.Resume(edge), edge
}

// SameGraphAs waits until both are at the same version and compares their replicas.
func (p *Person) SameGraphAs(other *Person) {
	p.t.Helper()
	p.Reaches(other.Position().Version)
	other.Reaches(p.Position().Version)
	if p.Hash() != other.Hash() {
		p.t.Errorf("%s and %s are at version %d with different graphs", p.name, other.name, p.Position().Version)
	}
}
