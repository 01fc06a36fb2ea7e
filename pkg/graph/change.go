package graph

import "iter"

// MaxTouches is the greatest number of touches in one change; a command that would need more is refused as TooLarge.
const MaxTouches = 20_000

// Change is what one accepted command does: its touches in order.
type Change struct {
	Touches []Touch
}

// Touch is one step of a change: a node before and after. Before is nil for a node that is created, After for one that
// is deleted. A node may be touched several times, in a batch.
type Touch struct {
	Before, After *Node

	// Placed and Property tell what the command was about, where the two states do not show it: a move to the place
	// where the node already is, a property set to the value that it has. They decide which events are told, not what
	// is changed. A change of Order without Placed is a re-keying that moves nothing.
	Placed   bool
	Property string
}

// ID returns the id of the touched node.
func (t Touch) ID() NodeID {
	if t.After != nil {
		return t.After.ID
	}
	return t.Before.ID
}

// Inverse returns the change that takes everything back.
func (ch Change) Inverse() Change {
	inverse := make([]Touch, len(ch.Touches))
	for i, t := range ch.Touches {
		t.Before, t.After = t.After, t.Before
		inverse[len(inverse)-1-i] = t
	}
	return Change{Touches: inverse}
}

// Net yields one touch per node that the change as a whole alters, from its first state to its last, in the order of
// first touches. What a batch created and deleted again is left out.
func (ch Change) Net() iter.Seq[Touch] {
	return func(yield func(Touch) bool) {
		net := ch.Touches
		if len(net) > 1 {
			net = merged(net)
		}
		for _, t := range net {
			if t.Before != t.After && !yield(Touch{Before: t.Before, After: t.After}) {
				return
			}
		}
	}
}

func merged(touches []Touch) []Touch {
	net, seen := make([]Touch, 0, len(touches)), make(map[NodeID]int, len(touches))
	for _, t := range touches {
		if i, ok := seen[t.ID()]; ok {
			net[i].After = t.After
			continue
		}
		seen[t.ID()] = len(net)
		net = append(net, t)
	}
	return net
}

// Writes yields what is to be stored: each node that the change alters with its last state, nil when it is gone.
func (ch Change) Writes() iter.Seq2[NodeID, *Node] {
	return func(yield func(NodeID, *Node) bool) {
		for t := range ch.Net() {
			if !yield(t.ID(), t.After) {
				return
			}
		}
	}
}

// Created returns the id of the first node that the change creates, zero when it creates none.
func (ch Change) Created() NodeID {
	for _, t := range ch.Touches {
		if t.Before == nil {
			return t.After.ID
		}
	}
	return NodeID{}
}

// Apply carries the change out and returns what happened, in order, each event with places as they were at its moment.
// It cannot fail: the change must have been decided against g as it is now (or against a draft of it that had become
// the same), or come from ParseChange on it.
func (g *Graph) Apply(ch Change) []Event {
	events := make([]Event, 0, 2*len(ch.Touches))
	for _, t := range ch.Touches {
		g.Put(t.ID(), t.After)
		index := 0
		if t.places() {
			index = g.list(t.After.Parent).index(t.After)
		}
		events = t.appendEvents(events, index)
	}
	return events
}

// Events returns the events that Apply would return, and leaves g as it is.
func (g *Graph) Events(ch Change) []Event {
	if len(ch.Touches) != 1 {
		return g.Draft().Apply(ch)
	}
	t, index := ch.Touches[0], 0
	if t.places() {
		list := g.list(t.After.Parent)
		index = list.index(t.After)
		if t.Before != nil && t.Before.Parent == t.After.Parent && list.index(t.Before) < index {
			index-- // counted without the node
		}
	}
	return t.appendEvents(make([]Event, 0, 2), index)
}

// places reports whether the touch gives the node a place that is told.
func (t Touch) places() bool {
	switch {
	case t.After == nil:
		return false
	case t.Before == nil || t.Placed:
		return true
	}
	return t.Before.Parent != t.After.Parent || t.Before.Order != t.After.Order
}
