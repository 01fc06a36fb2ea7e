package graph

// UnlinkNode asks to take Child away from Parent and make it a root, behind all roots.
type UnlinkNode struct{ Parent, Child NodeID }

// Decide makes the child a root.
func (c UnlinkNode) Decide(g *Graph, _ Schema) (Change, error) {
	parent, err := g.need("parent_id", c.Parent)
	if err != nil {
		return Change{}, err
	}
	child, err := g.need("child_id", c.Child)
	if err != nil {
		return Change{}, err
	}
	if child.Parent != parent.ID {
		return Change{}, reject(LinkInvalid, "%q does not hang under %q", child.Name, parent.Name)
	}
	return g.hang(child, NodeID{}, End)
}
