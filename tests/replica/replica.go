// Package replica is a client's copy of a session's graph, kept by events alone as api.md part 7 promises that it can,
// or begun with an answer that carries the whole graph.
//
// It promises to refuse every event that the graph it holds does not admit: a node made twice, a link to a node that is
// not there or that would close a circle, a node deleted before its children. Settle adds what must hold when a commit
// is complete. Its hash changes with each event in constant time, so that replicas can be compared at every version. It
// does not keep metadata or drawing hints, and it is not safe for concurrent use.
package replica

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// Replica is a copy of one graph.
type Replica struct {
	nodes   map[string]*node
	places  map[place]int // how many nodes stand there; more than one only inside a commit
	sum     uint64        // of the nodes' hashes, modulo 2^64
	touched map[string]bool
}

// place is where a node stands: under whom (empty: a root) and with which sort key.
type place struct{ parent, order string }

type node struct {
	id, kind, name string
	place
	children   int
	properties map[string]json.RawMessage
}

// New is the empty graph: version 0.
func New() *Replica {
	return &Replica{nodes: map[string]*node{}, places: map[place]int{}, touched: map[string]bool{}}
}

// treeNode is a node in an answer (api.md part 5).
type treeNode struct {
	ID         string                     `json:"id"`
	Type       string                     `json:"blueprint_type_id"`
	Name       string                     `json:"name"`
	Order      string                     `json:"order"`
	Properties map[string]json.RawMessage `json:"properties"`
	Children   []treeNode                 `json:"children"`
}

// Reset makes the replica the graph of an answer: {"roots":[…]}.
func (r *Replica) Reset(graph json.RawMessage) error {
	var g struct{ Roots []treeNode }
	if err := json.Unmarshal(graph, &g); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	*r = *New()
	return r.add("", g.Roots)
}

func (r *Replica) add(parent string, nodes []treeNode) error {
	for _, t := range nodes {
		if r.nodes[t.ID] != nil {
			return fmt.Errorf("graph: node %s is there twice", t.ID)
		}
		n := &node{id: t.ID, kind: t.Type, name: t.Name, place: place{parent, t.Order}, properties: maps.Clone(t.Properties)}
		r.nodes[t.ID] = n
		r.enter(n)
		if err := r.add(t.ID, t.Children); err != nil {
			return err
		}
	}
	return nil
}

// eventData is the union of the own fields of the graph's events.
type eventData struct {
	NodeID     string          `json:"node_id"`
	ParentID   string          `json:"parent_id"`
	ChildID    string          `json:"child_id"`
	Order      string          `json:"order"`
	PropertyID string          `json:"property_id"`
	NewValue   json.RawMessage `json:"new_value"`
	Name       *string         `json:"name"`
	Orphaned   bool            `json:"orphaned"`
	Node       *treeNode       `json:"node"`
	Graph      json.RawMessage `json:"graph"`
}

// ErrFetch says that an event does not carry its graph: the client reads it by REST.
var ErrFetch = errors.New("the graph is too large for the event: fetch it")

// Apply makes one event's change. Events that are not about the graph change nothing. It returns ErrFetch, or what is
// wrong with the event; the replica is of no use after that.
func (r *Replica) Apply(event string, data json.RawMessage) error {
	if !strings.HasPrefix(event, "graph:") && event != "project:loaded" {
		return nil
	}
	var e eventData
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("%s: %w", event, err)
	}
	switch event {
	case "graph:node-created":
		return r.create(e)
	case "project:loaded":
		if len(e.Graph) == 0 || string(e.Graph) == "null" {
			return ErrFetch
		}
		return r.Reset(e.Graph)
	}
	id := cmp.Or(e.NodeID, e.ChildID)
	n := r.nodes[id]
	if n == nil {
		return fmt.Errorf("%s: there is no node %s", event, id)
	}
	r.leave(n)
	if err := r.change(n, event, e); err != nil {
		return err
	}
	if r.nodes[id] != nil {
		r.enter(n)
	}
	return nil
}

func (r *Replica) create(e eventData) error {
	if e.Node == nil || r.nodes[e.NodeID] != nil {
		return fmt.Errorf("graph:node-created: node %s is there already, or the event has none", e.NodeID)
	}
	n := &node{id: e.NodeID, kind: e.Node.Type, name: e.Node.Name, place: place{"", e.Order}, properties: maps.Clone(e.Node.Properties)}
	r.nodes[n.id] = n
	r.enter(n)
	return nil
}

func (r *Replica) change(n *node, event string, e eventData) error {
	switch event {
	case "graph:node-deleted":
		if n.children > 0 {
			return fmt.Errorf("%s: %s goes and leaves %d children", event, n.id, n.children)
		}
		if n.parent != "" {
			return fmt.Errorf("%s: %s goes and still hangs under %s", event, n.id, n.parent)
		}
		delete(r.nodes, n.id)
	case "graph:node-linked":
		if r.nodes[e.ParentID] == nil || n.parent != "" {
			return fmt.Errorf("%s: %s cannot hang under %s", event, n.id, e.ParentID)
		}
		for up := e.ParentID; up != ""; up = r.nodes[up].parent {
			if up == n.id {
				return fmt.Errorf("%s: %s would hang below itself", event, n.id)
			}
		}
		n.place = place{e.ParentID, e.Order}
	case "graph:node-unlinked":
		if n.parent != e.ParentID {
			return fmt.Errorf("%s: %s hangs under %q, not %q", event, n.id, n.parent, e.ParentID)
		}
		n.place = place{"", e.Order}
	case "graph:property-changed", "graph:property-deleted":
		n.set(e)
	default:
		return fmt.Errorf("unknown event %s", event)
	}
	return nil
}

// set changes a property. The name is one only of nodes that were loaded with it; orphaned values are metadata.
func (n *node) set(e eventData) {
	_, has := n.properties[e.PropertyID]
	switch {
	case e.Orphaned, e.PropertyID == "name" && !has:
	case e.NewValue == nil || string(e.NewValue) == "null":
		delete(n.properties, e.PropertyID)
	default:
		if n.properties == nil {
			n.properties = map[string]json.RawMessage{}
		}
		n.properties[e.PropertyID] = e.NewValue
	}
	if e.Name != nil {
		n.name = *e.Name
	}
}

// Settle checks what must hold when all events of a commit were applied: every node that it touched hangs under a node
// that is there, and shares its sort key with no sibling.
func (r *Replica) Settle() error {
	defer clear(r.touched)
	for id := range r.touched {
		n := r.nodes[id]
		switch {
		case n == nil:
		case n.parent != "" && r.nodes[n.parent] == nil:
			return fmt.Errorf("node %s hangs under %s, which is not there", id, n.parent)
		case n.order == "":
			return fmt.Errorf("node %s was taken from its place and stands nowhere", id)
		case r.places[n.place] > 1:
			return fmt.Errorf("node %s shares its sort key %q with a sibling", id, n.order)
		}
	}
	return nil
}
