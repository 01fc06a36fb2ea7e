package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/graph"
)

// replica is a client's graph. It is kept by the JSON of the events and by nothing else.
type replica struct {
	nodes    map[string]*replicaNode
	children map[string][]string // by place; the roots under "", by sort key
}

type replicaNode struct {
	Type       string                     `json:"blueprint_type_id"`
	Name       string                     `json:"name"`
	Properties map[string]json.RawMessage `json:"properties"`
	Metadata   map[string]json.RawMessage `json:"metadata"`
	parent     string
	order      string
}

// fields are the own fields of all events.
type fields struct {
	NodeID   string          `json:"node_id"`
	ParentID *string         `json:"parent_id"`
	ChildID  string          `json:"child_id"`
	Index    int             `json:"index"`
	Order    *string         `json:"order"`
	Node     *replicaNode    `json:"node"`
	Property string          `json:"property_id"`
	New      json.RawMessage `json:"new_value"`
	Name     *string         `json:"name"`
	Orphaned bool            `json:"orphaned"`
}

func newReplica(g *graph.Graph) *replica {
	r := &replica{nodes: map[string]*replicaNode{}, children: map[string][]string{}}
	for n := range g.All() {
		created := graph.Event{Name: graph.EventNodeCreated, Node: n.ID, State: n, Order: n.Order, Index: g.IndexOf(n.ID)}
		r.apply(created.Name, created.AppendFields(nil))
		if n.Parent != (graph.NodeID{}) {
			r.link(n.ID.String(), n.Parent.String(), g.IndexOf(n.ID), n.Order)
		}
	}
	return r
}

// apply carries out one event; it panics on what no client could follow.
func (r *replica) apply(name string, own []byte) {
	var f fields
	if err := json.Unmarshal([]byte("{"+string(own)+"}"), &f); err != nil {
		panic(fmt.Sprintf("%s: %v: %s", name, err, own))
	}
	switch name {
	case graph.EventNodeCreated:
		r.create(f)
	case graph.EventNodeDeleted:
		r.detach(f.NodeID)
		if len(r.children[f.NodeID]) > 0 {
			panic("a node goes before its children")
		}
		delete(r.nodes, f.NodeID)
		delete(r.children, f.NodeID)
	case graph.EventNodeLinked:
		r.link(f.ChildID, *f.ParentID, f.Index, *f.Order)
	case graph.EventNodeUnlinked:
		r.detach(f.ChildID)
		if f.Order != nil {
			r.root(f.ChildID, *f.Order)
		}
	default:
		r.setProperty(f)
	}
}

func (r *replica) create(f fields) {
	if r.nodes[f.NodeID] != nil {
		panic("a node is created twice")
	}
	r.nodes[f.NodeID] = f.Node
	if f.ParentID == nil {
		r.root(f.NodeID, *f.Order)
		if r.children[""][f.Index] != f.NodeID {
			panic("the index of a new root is not the one of its sort key")
		}
	}
}

func (r *replica) detach(id string) {
	n := r.nodes[id]
	list := r.children[n.parent]
	if i := slices.Index(list, id); i >= 0 {
		r.children[n.parent] = slices.Delete(slices.Clone(list), i, i+1)
	}
	n.parent = ""
}

func (r *replica) root(id, order string) {
	r.nodes[id].order = order
	roots := append(slices.Clone(r.children[""]), id)
	slices.SortFunc(roots, func(a, b string) int { return strings.Compare(r.nodes[a].order, r.nodes[b].order) })
	r.children[""] = roots
}

func (r *replica) link(child, parent string, index int, order string) {
	r.detach(child)
	r.nodes[child].parent, r.nodes[child].order = parent, order
	r.children[parent] = slices.Insert(slices.Clone(r.children[parent]), index, child)
}

func (r *replica) setProperty(f fields) {
	n := r.nodes[f.NodeID]
	values := n.Properties
	if f.Orphaned {
		values = orphans(n.Metadata)
	}
	switch {
	case f.Property == graph.PropertyName && values[f.Property] == nil: // the bare name
	case string(f.New) == "null" || f.New == nil:
		delete(values, f.Property)
	default:
		values[f.Property] = f.New
	}
	if f.Name != nil {
		n.Name = *f.Name
	}
	if f.Orphaned {
		n.Metadata[graph.MetaOrphanedProperties] = object(values)
		if len(values) == 0 {
			delete(n.Metadata, graph.MetaOrphanedProperties)
		}
	}
}

func orphans(metadata map[string]json.RawMessage) map[string]json.RawMessage {
	values := map[string]json.RawMessage{}
	if raw := metadata[graph.MetaOrphanedProperties]; raw != nil {
		if err := json.Unmarshal(raw, &values); err != nil {
			panic(err)
		}
	}
	return values
}

func object(values map[string]json.RawMessage) json.RawMessage {
	var members []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name, _ := json.Marshal(key)
		members = append(members, string(name)+":"+string(values[key]))
	}
	return json.RawMessage("{" + strings.Join(members, ",") + "}")
}

// canonical is the metadata with the orphaned properties, whose order says nothing, sorted.
func canonical(metadata map[string]json.RawMessage) string {
	metadata = maps.Clone(metadata)
	if metadata[graph.MetaOrphanedProperties] != nil {
		metadata[graph.MetaOrphanedProperties] = object(orphans(metadata))
	}
	return string(object(metadata))
}

// rapidT is what the checks need of *testing.T and *rapid.T.
type rapidT interface {
	Helper()
	Fatalf(format string, args ...any)
}

var _ rapidT = (*testing.T)(nil)

// mustEqual compares the replica with the server's graph, sibling order and sort keys included.
func (r *replica) mustEqual(t rapidT, g *graph.Graph) {
	t.Helper()
	if len(r.nodes) != g.Len() {
		t.Fatalf("the replica has %d nodes, want %d", len(r.nodes), g.Len())
	}
	for n := range g.All() {
		c := r.nodes[n.ID.String()]
		if c == nil {
			t.Fatalf("the replica has no node %s", n.ID)
		}
		parent := ""
		if n.Parent != (graph.NodeID{}) {
			parent = n.Parent.String()
		}
		if c.Type != n.Type || c.Name != n.Name || c.parent != parent || c.order != n.Order {
			t.Fatalf("the replica has %+v, want %+v", c, n)
		}
		if got, want := string(object(c.Properties)), string(object(n.Properties)); got != want {
			t.Fatalf("the replica has properties %s, want %s", got, want)
		}
		if got, want := canonical(c.Metadata), canonical(n.Metadata); got != want {
			t.Fatalf("the replica has metadata %s, want %s", got, want)
		}
		if i := g.IndexOf(n.ID); r.children[parent][i] != n.ID.String() {
			t.Fatalf("the replica has %s at place %d, want %s", r.children[parent][i], i, n.ID)
		}
	}
}
