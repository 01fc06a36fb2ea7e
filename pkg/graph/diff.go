package graph

import (
	"bytes"
	"encoding/json"
	"slices"
)

// appendEvents appends what the touch is told as; index is the place that the node gets, when it gets one.
func (t Touch) appendEvents(events []Event, index int) []Event {
	switch {
	case t.Before == nil:
		n := t.After
		events = append(events, Event{Name: EventNodeCreated, Node: n.ID, State: n, Index: index, Order: n.Order})
		if n.Parent != (NodeID{}) {
			events = append(events, linked(n, index))
		}
		return events
	case t.After == nil:
		if n := t.Before; n.Parent != (NodeID{}) {
			events = append(events, Event{Name: EventNodeUnlinked, Node: n.ID, Parent: n.Parent})
		}
		return append(events, Event{Name: EventNodeDeleted, Node: t.Before.ID})
	}
	events = t.appendPlacing(events, index)
	events = t.appendProperties(events)
	return t.appendOrphaned(events)
}

func linked(n *Node, index int) Event {
	return Event{Name: EventNodeLinked, Node: n.ID, Parent: n.Parent, Index: index, Order: n.Order}
}

// appendPlacing tells a move: away from the old parent, to the new one. Of a node that only gets another sort key
// in its place, the new key is told.
func (t Touch) appendPlacing(events []Event, index int) []Event {
	from, to := t.Before, t.After
	if !t.places() {
		return events
	}
	moved := t.Placed || from.Parent != to.Parent
	root := to.Parent == (NodeID{})
	if (moved && from.Parent != (NodeID{})) || root {
		away := Event{Name: EventNodeUnlinked, Node: to.ID, Parent: from.Parent}
		if root {
			away.Order = to.Order
		}
		events = append(events, away)
	}
	if !root {
		events = append(events, linked(to, index))
	}
	return events
}

// appendProperties tells each property that differs, and the one that the command was about even if it does not.
func (t Touch) appendProperties(events []Event) []Event {
	first := len(events)
	var few [fewKeys]string
	keys := appendDiffering(few[:0], t.Before.Properties, t.After.Properties)
	named := t.Property == PropertyName
	if t.Property != "" && !named && !slices.Contains(keys, t.Property) {
		keys = append(keys, t.Property)
	}
	for _, key := range keys {
		events = append(events, propertyEvent(t.After.ID, key, t.Before.Properties[key], t.After.Properties[key]))
	}
	if t.Before.Name == t.After.Name && !(named && len(keys) == 0) {
		return events
	}
	for i := range events[first:] {
		if e := &events[first+i]; e.New != nil && text(e.New) == t.After.Name {
			e.Renamed, e.NewName = true, t.After.Name
			return events
		}
	}
	e := propertyEvent(t.After.ID, PropertyName, quoted(t.Before.Name), quoted(t.After.Name))
	e.Renamed, e.NewName = true, t.After.Name
	return append(events, e)
}

// appendOrphaned tells the differences among the orphaned properties in the metadata.
func (t Touch) appendOrphaned(events []Event) []Event {
	was, is := t.Before.Metadata[MetaOrphanedProperties], t.After.Metadata[MetaOrphanedProperties]
	if bytes.Equal(was, is) {
		return events
	}
	before, after := t.Before.orphans(), t.After.orphans()
	for _, key := range appendDiffering(nil, before, after) {
		e := propertyEvent(t.After.ID, key, before[key], after[key])
		e.Orphaned = true
		events = append(events, e)
	}
	return events
}

func propertyEvent(id NodeID, property string, before, after json.RawMessage) Event {
	name := EventPropertyChanged
	if after == nil {
		name = EventPropertyDeleted
	}
	return Event{Name: name, Node: id, Property: property, Old: before, New: after}
}

// appendDiffering appends the keys whose values differ in order to keys, which is empty.
func appendDiffering(keys []string, a, b map[string]json.RawMessage) []string {
	for key, v := range a {
		if w, ok := b[key]; !ok || !bytes.Equal(v, w) {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// orphans returns the orphaned properties in the metadata, nil when there are none.
func (n *Node) orphans() map[string]json.RawMessage {
	raw := n.Metadata[MetaOrphanedProperties]
	if raw == nil {
		return nil
	}
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return nil // something else than an object: nothing that a command could name
	}
	return values
}

// text returns the string that v is, or a text that is no node's name when v is no string.
func text(v json.RawMessage) string {
	if v[0] != '"' {
		return "\x00"
	}
	return unquoted(v)
}

// quoted returns s as a JSON value.
func quoted(s string) json.RawMessage { return appendString(nil, s) }
