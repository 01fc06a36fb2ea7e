package graph

import (
	"encoding/json"
	"maps"

	"github.com/google/uuid"
)

// NodeID identifies a node. The zero id names no node; as a parent it means that the node is a root.
type NodeID = uuid.UUID

// Node is one node of a graph. It is immutable once it is in a graph or in a change: edits make a new one.
type Node struct {
	ID NodeID
	// Type is the stored id of the node's type: with a schema the type's UUID, without one any text.
	Type string
	// Name is what people call the node. It follows the name property of types that have one.
	Name string
	// Properties are the values by stored property id, each as compact JSON text. Numbers keep every digit.
	Properties map[string]json.RawMessage
	// Metadata is what is known about the node beside its properties; see Orphaned and MetaOrphanedProperties.
	Metadata map[string]json.RawMessage
	// Parent is the node that this one hangs under, zero for a root.
	Parent NodeID
	// Order is the sort key among the siblings (roots are siblings of each other), 1 to MaxOrderKey bytes.
	Order string
}

// Keys of Node.Metadata that the commands know.
const (
	// MetaOrphaned is true for a node whose type the template does not have (any more).
	MetaOrphaned = "orphaned"
	// MetaOrphanedProperties is an object, property key or id to value, of what the node's type does not declare.
	MetaOrphanedProperties = "orphaned_properties"
)

// Orphaned reports whether the node is marked as one whose type is unknown: it may be deleted, not edited and not
// given children.
func (n *Node) Orphaned() bool { return string(n.Metadata[MetaOrphaned]) == "true" }

// with returns a copy of n that edit has changed. The maps are shared with n, so edit replaces them as a whole.
func (n *Node) with(edit func(*Node)) *Node {
	c := *n
	edit(&c)
	return &c
}

// put returns values with key set to v, or without key when v is nil; values itself stays as it is.
func put(values map[string]json.RawMessage, key string, v json.RawMessage) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(values)+1)
	maps.Copy(out, values)
	if v == nil {
		delete(out, key)
	} else {
		out[key] = v
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
