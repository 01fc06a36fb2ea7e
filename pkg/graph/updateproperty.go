package graph

import (
	"bytes"
	"encoding/json"
)

// UpdateProperty asks to set a property of a node, or to clear it.
type UpdateProperty struct {
	Node NodeID
	// Property is the property's id or key; PropertyName is the node's name.
	Property string
	// Value is compact JSON; null, or nothing, clears the property.
	Value json.RawMessage
}

// Decide sets the property. The name of the node follows its name property, and stays when that is cleared.
func (c UpdateProperty) Decide(g *Graph, schema Schema) (Change, error) {
	n, err := g.need("node_id", c.Node)
	if err != nil {
		return Change{}, err
	}
	if err := editable(schema, n); err != nil {
		return Change{}, err
	}
	rule, known := typeRule(schema, n.Type)
	if !known {
		return Change{}, reject(CommandFailed, "the template has no type for %q", n.Name)
	}
	id, err := resolve(schema, rule, c.Property)
	if err != nil {
		if _, orphaned := n.orphans()[c.Property]; orphaned {
			return Change{}, reject(CommandFailed, "the property %s is orphaned and cannot be edited", c.Property)
		}
		return Change{}, err
	}
	if id == PropertyName {
		return c.rename(n)
	}
	return c.set(n, rule, id, schema)
}

// rename changes the name of a node whose type has no name property.
func (c UpdateProperty) rename(n *Node) (Change, error) {
	if isNull(c.Value) {
		return Change{}, reject(CommandFailed, "a name cannot be cleared")
	}
	name, err := nameFrom(c.Value)
	if err != nil {
		return Change{}, err
	}
	after := n
	_, carried := n.Properties[PropertyName]
	if n.Name != name || carried {
		after = n.with(func(n *Node) {
			n.Name = name
			if carried { // loaded without a template: the two are kept equal
				n.Properties = put(n.Properties, PropertyName, c.Value)
			}
		})
	}
	return Change{Touches: []Touch{{Before: n, After: after, Property: PropertyName}}}, nil
}

// set changes the property with the stored id id.
func (c UpdateProperty) set(n *Node, rule TypeRule, id string, schema Schema) (Change, error) {
	var value json.RawMessage
	name := n.Name
	if !isNull(c.Value) {
		var err error
		if value, err = checked(schema, rule.ID, id, c.Value); err != nil {
			return Change{}, err
		}
		if id == rule.NameProperty {
			if name, err = nameFrom(value); err != nil {
				return Change{}, err
			}
		}
	}
	after := n
	if old, has := n.Properties[id]; has != (value != nil) || !bytes.Equal(old, value) || name != n.Name {
		after = n.with(func(n *Node) { n.Name, n.Properties = name, put(n.Properties, id, value) })
	}
	return Change{Touches: []Touch{{Before: n, After: after, Property: id}}}, nil
}
