package graph

import (
	"iter"
)

// Graph is a forest of nodes. The zero value is not usable; see New.
type Graph struct {
	// base is the graph that this one is a draft of, nil for a graph that stands by itself.
	base *Graph
	// nodes and lists hold everything, or in a draft only what differs from base: a nil node is gone.
	nodes map[NodeID]*Node
	// lists are the children by parent; the roots stand under the zero id.
	lists map[NodeID]*siblings
	count int
}

// New returns an empty graph.
func New() *Graph {
	return &Graph{nodes: make(map[NodeID]*Node), lists: make(map[NodeID]*siblings)}
}

// Draft returns a graph that equals g and can be changed without touching g: state that is not committed yet. It costs
// nothing but what is changed in it. While the draft is in use g must not change.
func (g *Graph) Draft() *Graph {
	return &Graph{base: g, count: g.count}
}

// Len returns the number of nodes.
func (g *Graph) Len() int { return g.count }

// Node returns the node with that id.
func (g *Graph) Node(id NodeID) (*Node, bool) {
	for ; g != nil; g = g.base {
		if n, ok := g.nodes[id]; ok {
			return n, n != nil
		}
	}
	return nil, false
}

// Roots yields the nodes without a parent, in order.
func (g *Graph) Roots() iter.Seq[*Node] { return g.list(NodeID{}).all() }

// Children yields the nodes under id, in order; the zero id has the roots.
func (g *Graph) Children(id NodeID) iter.Seq[*Node] { return g.list(id).all() }

// ChildCount returns the number of nodes under id; the zero id counts the roots.
func (g *Graph) ChildCount(id NodeID) int { return g.list(id).len() }

// All yields every node: parents before children, siblings in order.
func (g *Graph) All() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		var up []iter.Seq[*Node]
		for level := []iter.Seq[*Node]{g.Roots()}; len(level) > 0; level, up = up, nil {
			for _, list := range level {
				for n := range list {
					if !yield(n) {
						return
					}
					if g.list(n.ID).len() > 0 {
						up = append(up, g.Children(n.ID))
					}
				}
			}
		}
	}
}

// IndexOf returns the node's place among its siblings, counted from 0, or -1 when there is no such node.
func (g *Graph) IndexOf(id NodeID) int {
	n, ok := g.Node(id)
	if !ok {
		return -1
	}
	return g.list(n.Parent).index(n)
}

// list returns the children of id for reading; nil stands for none.
func (g *Graph) list(id NodeID) *siblings {
	for ; g != nil; g = g.base {
		if s, ok := g.lists[id]; ok {
			return s
		}
	}
	return nil
}

// ownList returns the children of id for writing.
func (g *Graph) ownList(id NodeID) *siblings {
	if s, ok := g.lists[id]; ok {
		return s
	}
	s := &siblings{}
	if g.base != nil {
		if shared := g.base.list(id); shared != nil {
			s = shared.draft()
		}
	}
	if g.lists == nil {
		g.lists = make(map[NodeID]*siblings)
	}
	g.lists[id] = s
	return s
}

// Put brings the node with that id to the state after, nil meaning that it is gone: how a copy follows the after-images
// of a commit. It checks nothing, and the forest is whole again when all images of the commit are in place, in any order.
func (g *Graph) Put(id NodeID, after *Node) {
	old, existed := g.Node(id)
	if old == after {
		return
	}
	if existed && (after == nil || old.Parent != after.Parent || old.Order != after.Order) {
		list := g.ownList(old.Parent)
		list.remove(old)
		if list.len() == 0 && g.base == nil {
			delete(g.lists, old.Parent)
		}
	}
	if g.nodes == nil {
		g.nodes = make(map[NodeID]*Node)
	}
	switch {
	case after != nil:
		g.ownList(after.Parent).add(after)
		g.nodes[id] = after
	case g.base == nil:
		delete(g.nodes, id)
	default:
		g.nodes[id] = nil
	}
	g.count += present(after) - present(old)
}

func present(n *Node) int {
	if n == nil {
		return 0
	}
	return 1
}

// below reports whether id is top or hangs somewhere under it. Where parents form a circle it says true.
func (g *Graph) below(id, top NodeID) bool {
	for range g.count + 1 {
		if id == top {
			return true
		}
		n, ok := g.Node(id)
		if !ok || n.Parent == (NodeID{}) {
			return false
		}
		id = n.Parent
	}
	return true
}
