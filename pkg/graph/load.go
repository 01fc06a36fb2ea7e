package graph

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// ErrBroken says that a set of nodes is not a forest, or that a change does not belong to the graph.
var ErrBroken = errors.New("graph: broken")

// Load replaces the content of g by nodes, in any order, and keeps them. If they are not a forest with valid order keys
// it returns an error that wraps ErrBroken and leaves g as it was.
func (g *Graph) Load(nodes iter.Seq[*Node]) error {
	loaded, families := New(), make(map[NodeID][]*Node)
	for n := range nodes {
		if _, twice := loaded.nodes[n.ID]; twice {
			return fmt.Errorf("%w: node %s occurs twice", ErrBroken, n.ID)
		}
		loaded.nodes[n.ID] = n
		families[n.Parent] = append(families[n.Parent], n)
	}
	for parent, children := range families {
		slices.SortFunc(children, before)
		loaded.lists[parent] = newSiblings(children)
	}
	loaded.count = len(loaded.nodes)
	if err := loaded.Check(); err != nil {
		return err
	}
	*g = *loaded
	return nil
}

// Check examines the whole graph: parents exist, every node is reached from a root exactly once, siblings have valid
// and distinct order keys and stand in their order. The error wraps ErrBroken.
func (g *Graph) Check() error {
	reached := 0
	var last *Node
	for n := range g.All() {
		reached++
		if held, ok := g.Node(n.ID); !ok || held != n || n.ID == (NodeID{}) {
			return fmt.Errorf("%w: node %s stands in a list but is not in the graph", ErrBroken, n.ID)
		}
		if !validKey(n.Order) {
			return fmt.Errorf("%w: node %s has order key %q", ErrBroken, n.ID, n.Order)
		}
		if last != nil && last.Parent == n.Parent && last.Order >= n.Order {
			return fmt.Errorf("%w: siblings %s and %s are not in order", ErrBroken, last.ID, n.ID)
		}
		last = n
	}
	if reached != g.count {
		return fmt.Errorf("%w: %d of %d nodes hang under no root", ErrBroken, g.count-reached, g.count)
	}
	return nil
}

// checkTouched examines what ch, which g already shows, may have broken.
func (g *Graph) checkTouched(ch Change) error {
	for t := range ch.Net() {
		if n := t.After; n == nil {
			if g.ChildCount(t.ID()) > 0 {
				return fmt.Errorf("%w: node %s goes and leaves children", ErrBroken, t.ID())
			}
		} else if err := g.checkPlace(n); err != nil {
			return err
		}
	}
	return nil
}

// checkPlace examines that n hangs under a node that is there and not under itself, and shares its key with no sibling.
func (g *Graph) checkPlace(n *Node) error {
	if _, ok := g.Node(n.Parent); !ok && n.Parent != (NodeID{}) {
		return fmt.Errorf("%w: node %s has no parent %s", ErrBroken, n.ID, n.Parent)
	}
	if n.Parent != (NodeID{}) && g.below(n.Parent, n.ID) {
		return fmt.Errorf("%w: node %s is below itself", ErrBroken, n.ID)
	}
	list := g.list(n.Parent)
	i := list.index(n)
	for _, next := range []*Node{list.at(i - 1), list.at(i + 1)} {
		if next != nil && next.Order == n.Order {
			return fmt.Errorf("%w: siblings %s and %s have one order key", ErrBroken, n.ID, next.ID)
		}
	}
	return nil
}
