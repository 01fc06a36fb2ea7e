package graph

// ApplyKit asks for a copy of everything below Kit under Target.
type ApplyKit struct {
	Target, Kit NodeID
	// Seed is what the ids of the copies are derived from, together with the ids of the originals.
	Seed NodeID
}

// Decide copies each child of the kit's root, with its subtree, behind the children of the target; parents first.
func (c ApplyKit) Decide(g *Graph, schema Schema) (Change, error) {
	target, err := g.need("target_id", c.Target)
	if err != nil {
		return Change{}, err
	}
	kit, err := g.need("kit_root_id", c.Kit)
	if err != nil {
		return Change{}, err
	}
	if g.below(target.ID, kit.ID) {
		return Change{}, reject(CommandFailed, "%q is inside the kit", target.Name)
	}
	touches, err := c.children(g, target, kit, schema)
	if err != nil {
		return Change{}, err
	}
	sources := make([]NodeID, 0, len(touches))
	for child := range g.Children(kit.ID) {
		sources = append(sources, child.ID)
	}
	for i := 0; i < len(touches); i++ {
		for child := range g.Children(sources[i]) {
			if len(touches) == MaxTouches {
				return Change{}, tooMany()
			}
			sources = append(sources, child.ID)
			touches = append(touches, Touch{After: c.copy(child, touches[i].After.ID, child.Order)})
		}
	}
	for _, t := range touches {
		if _, taken := g.Node(t.After.ID); taken {
			return Change{}, reject(CommandFailed, "the id %s is in use", t.After.ID)
		}
	}
	return Change{Touches: touches}, nil
}

// children are the copies of the kit's uppermost nodes.
func (c ApplyKit) children(g *Graph, target, kit *Node, schema Schema) ([]Touch, error) {
	n := g.ChildCount(kit.ID)
	if n > MaxTouches {
		return nil, tooMany()
	}
	last := ""
	if siblings := g.list(target.ID); siblings.len() > 0 {
		last = siblings.at(siblings.len() - 1).Order
	}
	orders, touches := spread(nil, last, "", n), make([]Touch, 0, n)
	for child := range g.Children(kit.ID) {
		if err := mayHang(schema, target, child.Type, CommandFailed); err != nil {
			return nil, err
		}
		touches = append(touches, Touch{After: c.copy(child, target.ID, orders[len(touches)])})
	}
	return touches, nil
}

func (c ApplyKit) copy(source *Node, parent NodeID, order string) *Node {
	return source.with(func(n *Node) { n.ID, n.Parent, n.Order = derive(c.Seed, source.ID[:]), parent, order })
}
