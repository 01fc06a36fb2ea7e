package graph

import "encoding/json"

// DeleteProperty asks to remove a value of a node, be it a property's or an orphaned one. It is DeleteOrphanedProperty
// as well: of the two places the value goes from the one where it is.
type DeleteProperty struct {
	Node NodeID
	// Property is the property's id or key, or the key of an orphaned one.
	Property string
}

// Decide removes the value, which must be set. The node keeps its name when the name property goes.
func (c DeleteProperty) Decide(g *Graph, schema Schema) (Change, error) {
	n, err := g.need("node_id", c.Node)
	if err != nil {
		return Change{}, err
	}
	id := c.Property
	if rule, known := typeRule(schema, n.Type); known {
		if stored, err := resolve(schema, rule, c.Property); err == nil {
			id = stored
		}
	}
	if id == PropertyName {
		return Change{}, reject(CommandFailed, "a name cannot be deleted")
	}
	if _, set := n.Properties[id]; set {
		if err := editable(schema, n); err != nil {
			return Change{}, err
		}
		after := n.with(func(n *Node) { n.Properties = put(n.Properties, id, nil) })
		return Change{Touches: []Touch{{Before: n, After: after, Property: id}}}, nil
	}
	orphans := n.orphans()
	if _, set := orphans[c.Property]; !set {
		return Change{}, reject(CommandFailed, "%q has no value of %s", n.Name, c.Property)
	}
	var left json.RawMessage
	if rest := put(orphans, c.Property, nil); rest != nil {
		left = appendObject(nil, rest)
	}
	after := n.with(func(n *Node) { n.Metadata = put(n.Metadata, MetaOrphanedProperties, left) })
	return Change{Touches: []Touch{{Before: n, After: after}}}, nil
}
