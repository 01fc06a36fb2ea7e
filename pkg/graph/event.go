package graph

import (
	"encoding/json"
	"strconv"
)

// Names of the events of a graph.
const (
	EventNodeCreated     = "graph:node-created"
	EventNodeDeleted     = "graph:node-deleted"
	EventNodeLinked      = "graph:node-linked"
	EventNodeUnlinked    = "graph:node-unlinked"
	EventPropertyChanged = "graph:property-changed"
	EventPropertyDeleted = "graph:property-deleted"
)

// PropertyName is the property id that always names a node's name, in commands and in events. Node.Properties has no
// such entry, but for nodes that were loaded with one: theirs is kept equal to the name.
const PropertyName = "name"

// Event is one fact that a change brought about. Which fields count depends on Name.
type Event struct {
	Name string
	// Node is the node that the event is about; of a link, the child.
	Node NodeID
	// State is the node as it was created (node-created).
	State *Node
	// Parent is the other end of a link (node-linked, node-unlinked); zero in a node-unlinked that only gives a root a
	// new sort key.
	Parent NodeID
	// Index is the node's place among its siblings, counted from 0 (node-created, node-linked).
	Index int
	// Order is the node's sort key among its siblings. In node-unlinked it is the one among the roots, empty when the
	// node does not stay as a root.
	Order string
	// Property is the stored id of the property, or PropertyName (property-changed, property-deleted).
	Property string
	// Orphaned means that the value stands among the orphaned properties in the metadata, not among the properties.
	Orphaned bool
	// Old and New are the property's values, nil for none.
	Old, New json.RawMessage
	// Renamed means that the node's name became NewName with this change of a property.
	Renamed bool
	NewName string
}

// AppendFields appends the event's own fields as JSON members, separated by commas and without braces.
func (e Event) AppendFields(dst []byte) []byte {
	switch e.Name {
	case EventNodeCreated:
		return e.appendCreated(dst)
	case EventNodeDeleted:
		dst = appendID(append(dst, `"node_id":`...), e.Node)
		return appendID(append(dst, `,"id":`...), e.Node)
	case EventNodeLinked:
		dst = e.appendLink(dst)
		dst = strconv.AppendInt(append(dst, `,"index":`...), int64(e.Index), 10)
		return appendString(append(dst, `,"order":`...), e.Order)
	case EventNodeUnlinked:
		dst = append(e.appendLink(dst), `,"order":`...)
		if e.Order == "" {
			return append(dst, "null"...)
		}
		return appendString(dst, e.Order)
	default:
		return e.appendProperty(dst)
	}
}

func (e Event) appendCreated(dst []byte) []byte {
	n := e.State
	dst = appendID(append(dst, `"node_id":`...), n.ID)
	dst = appendID(append(dst, `,"id":`...), n.ID)
	dst = appendString(append(dst, `,"name":`...), n.Name)
	dst = appendString(append(dst, `,"blueprint_type_id":`...), n.Type)
	dst = appendOptionalID(append(dst, `,"parent_id":`...), n.Parent)
	dst = strconv.AppendInt(append(dst, `,"index":`...), int64(e.Index), 10)
	dst = appendString(append(dst, `,"order":`...), e.Order)
	dst = appendID(append(dst, `,"node":{"id":`...), n.ID)
	dst = appendString(append(dst, `,"blueprint_type_id":`...), n.Type)
	dst = appendString(append(dst, `,"name":`...), n.Name)
	dst = appendObject(append(dst, `,"properties":`...), n.Properties)
	dst = appendObject(append(dst, `,"metadata":`...), n.Metadata)
	dst = appendOptionalID(append(dst, `,"parent_id":`...), n.Parent)
	return append(dst, `,"children":[]}`...)
}

func (e Event) appendLink(dst []byte) []byte {
	dst = appendOptionalID(append(dst, `"parent_id":`...), e.Parent)
	return appendID(append(dst, `,"child_id":`...), e.Node)
}

func (e Event) appendProperty(dst []byte) []byte {
	dst = appendID(append(dst, `"node_id":`...), e.Node)
	dst = appendString(append(dst, `,"property_id":`...), e.Property)
	dst = appendString(append(dst, `,"property_name":`...), e.Property)
	dst = appendValue(append(dst, `,"old_value":`...), e.Old)
	if e.Name == EventPropertyChanged {
		dst = appendValue(append(dst, `,"new_value":`...), e.New)
	}
	if e.Renamed {
		dst = appendString(append(dst, `,"name":`...), e.NewName)
	}
	if e.Orphaned {
		dst = append(dst, `,"orphaned":true`...)
	}
	return dst
}
