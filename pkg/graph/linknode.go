package graph

// LinkNode asks to hang Child, a root, under Parent.
type LinkNode struct {
	Parent, Child NodeID
	// Index is the place among the siblings, End or anything behind it for the end.
	Index int
}

// Decide hangs the root, with all that is below it, under the parent.
func (c LinkNode) Decide(g *Graph, schema Schema) (Change, error) {
	parent, err := g.need("parent_id", c.Parent)
	if err != nil {
		return Change{}, err
	}
	child, err := g.need("child_id", c.Child)
	if err != nil {
		return Change{}, err
	}
	if child.Parent != (NodeID{}) {
		return Change{}, reject(LinkInvalid, "%q has a parent already", child.Name)
	}
	if g.below(parent.ID, child.ID) {
		return Change{}, reject(LinkInvalid, "%q is below %q", parent.Name, child.Name)
	}
	if err := mayHang(schema, parent, child.Type, LinkInvalid); err != nil {
		return Change{}, err
	}
	return g.hang(child, parent.ID, c.Index)
}

// hang is the change that gives n its place at index under parent, zero for the roots.
func (g *Graph) hang(n *Node, parent NodeID, index int) (Change, error) {
	order, touches, err := g.place(parent, index, n)
	if err != nil {
		return Change{}, err
	}
	after := n
	if n.Parent != parent || n.Order != order {
		after = n.with(func(n *Node) { n.Parent, n.Order = parent, order })
	}
	return Change{Touches: append(touches, Touch{Before: n, After: after, Placed: true})}, nil
}
