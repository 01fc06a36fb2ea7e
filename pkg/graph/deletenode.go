package graph

import "slices"

// DeleteNode asks to delete a node and all that is below it.
type DeleteNode struct{ Node NodeID }

// Decide deletes the subtree, deepest nodes first.
func (c DeleteNode) Decide(g *Graph, _ Schema) (Change, error) {
	n, err := g.need("node_id", c.Node)
	if err != nil {
		return Change{}, err
	}
	touches := []Touch{{Before: n}}
	for i := 0; i < len(touches); i++ {
		for child := range g.Children(touches[i].Before.ID) {
			if len(touches) == MaxTouches {
				return Change{}, tooMany()
			}
			touches = append(touches, Touch{Before: child})
		}
	}
	slices.Reverse(touches)
	return Change{Touches: touches}, nil
}
