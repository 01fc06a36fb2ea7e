package harness

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Replica is a client's copy of a session's graph. It is kept by events alone, as api.md part 7 promises that it can.
type Replica struct {
	nodes map[string]*replicaNode
}

type replicaNode struct {
	id, typ, name, parent, order string
	properties                   map[string]json.RawMessage
}

// NewReplica is the empty graph: version 0.
func NewReplica() *Replica { return &Replica{nodes: map[string]*replicaNode{}} }

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
		return err
	}
	r.nodes = map[string]*replicaNode{}
	r.add("", g.Roots)
	return nil
}

func (r *Replica) add(parent string, nodes []treeNode) {
	for _, n := range nodes {
		r.nodes[n.ID] = &replicaNode{id: n.ID, typ: n.Type, name: n.Name, parent: parent, order: n.Order,
			properties: maps.Clone(n.Properties)}
		r.add(n.ID, n.Children)
	}
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
	Node       *treeNode       `json:"node"`
	Graph      json.RawMessage `json:"graph"`
}

// ErrFetch says that an event does not carry its graph: the client reads it by REST.
var ErrFetch = fmt.Errorf("the graph is too large for the event: fetch it")

// Apply makes one event's change.
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
		if e.Node == nil || r.nodes[e.NodeID] != nil {
			return fmt.Errorf("%s: node %s is there already, or the event has none", event, e.NodeID)
		}
		r.nodes[e.NodeID] = &replicaNode{id: e.NodeID, typ: e.Node.Type, name: e.Node.Name, order: e.Order,
			properties: maps.Clone(e.Node.Properties)}
		return nil
	case "project:loaded":
		if len(e.Graph) == 0 || string(e.Graph) == "null" {
			return ErrFetch
		}
		return r.Reset(e.Graph)
	}
	id := cmp.Or(e.NodeID, e.ChildID)
	n := r.nodes[id]
	if n == nil {
		return fmt.Errorf("%s: no node %s", event, id)
	}
	return r.change(n, event, e)
}

func (r *Replica) change(n *replicaNode, event string, e eventData) error {
	switch event {
	case "graph:node-deleted":
		delete(r.nodes, n.id)
	case "graph:node-linked":
		if r.nodes[e.ParentID] == nil || n.parent != "" {
			return fmt.Errorf("%s: %s cannot hang under %s", event, n.id, e.ParentID)
		}
		n.parent, n.order = e.ParentID, e.Order
	case "graph:node-unlinked":
		if n.parent != e.ParentID {
			return fmt.Errorf("%s: %s hangs under %q, not %q", event, n.id, n.parent, e.ParentID)
		}
		n.parent, n.order = "", e.Order
	case "graph:property-changed", "graph:property-deleted":
		if n.properties == nil {
			n.properties = map[string]json.RawMessage{}
		}
		if event == "graph:property-deleted" {
			delete(n.properties, e.PropertyID)
		} else {
			n.properties[e.PropertyID] = e.NewValue
		}
		if e.Name != nil {
			n.name = *e.Name
		}
	default:
		return fmt.Errorf("unknown event %s", event)
	}
	return nil
}

// Len is the number of nodes.
func (r *Replica) Len() int { return len(r.nodes) }

// NameOf is the name of the node with an id, and whether it is there.
func (r *Replica) NameOf(id string) (string, bool) {
	n := r.nodes[id]
	if n == nil {
		return "", false
	}
	return n.name, true
}

// ParentOf is the id of a node's parent; empty for a root.
func (r *Replica) ParentOf(id string) string {
	if n := r.nodes[id]; n != nil {
		return n.parent
	}
	return ""
}

// Has reports whether a node has that name.
func (r *Replica) Has(name string) bool {
	for _, n := range r.nodes {
		if n.name == name {
			return true
		}
	}
	return false
}

// Hash names the graph: two replicas with equal hashes hold the same nodes in the same order with the same values.
func (r *Replica) Hash() string {
	below := map[string][]*replicaNode{}
	for _, n := range r.nodes {
		below[n.parent] = append(below[n.parent], n)
	}
	h := sha256.New()
	var walk func(parent string)
	walk = func(parent string) {
		children := below[parent]
		slices.SortFunc(children, func(a, b *replicaNode) int {
			return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.id, b.id))
		})
		for _, n := range children {
			fmt.Fprintf(h, "(%s %s %q", n.id, n.typ, n.name)
			for _, key := range slices.Sorted(maps.Keys(n.properties)) {
				fmt.Fprintf(h, " %q=%s", key, n.properties[key])
			}
			walk(n.id)
			h.Write([]byte{')'})
		}
	}
	walk("")
	return hex.EncodeToString(h.Sum(nil))
}
