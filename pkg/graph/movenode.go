package graph

// MoveNode asks to hang a node, with all that is below it, under Parent.
type MoveNode struct {
	Node, Parent NodeID
	// Index is the place among the new siblings, counted without the node; End or anything behind it for the end.
	Index int
}

// Decide moves the node, which may be a root or may be there already.
func (c MoveNode) Decide(g *Graph, schema Schema) (Change, error) {
	n, err := g.need("node_id", c.Node)
	if err != nil {
		return Change{}, err
	}
	parent, err := g.need("new_parent_id", c.Parent)
	if err != nil {
		return Change{}, err
	}
	if g.below(parent.ID, n.ID) {
		return Change{}, reject(MoveInvalid, "%q cannot move into itself or below itself", n.Name)
	}
	if err := mayHang(schema, parent, n.Type, MoveInvalid); err != nil {
		return Change{}, err
	}
	return g.hang(n, parent.ID, c.Index)
}
