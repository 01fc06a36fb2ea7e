package graph

// ReorderNode asks for another place of a node among its siblings.
type ReorderNode struct {
	Node NodeID
	// Index is the new place, counted from 0 without the node; anything behind the end is the end.
	Index int
}

// Decide gives the node its new place.
func (c ReorderNode) Decide(g *Graph, _ Schema) (Change, error) {
	n, err := g.need("node_id", c.Node)
	if err != nil {
		return Change{}, err
	}
	if n.Parent == (NodeID{}) {
		return Change{}, reject(ReorderInvalid, "%q is a root: only children have an order", n.Name)
	}
	if c.Index < 0 {
		return Change{}, reject(ReorderInvalid, "new_index is negative")
	}
	return g.hang(n, n.Parent, c.Index)
}
