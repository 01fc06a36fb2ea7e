package graph

import (
	"encoding/json"
	"maps"
)

// End as an index is the place behind all siblings.
const End = -1

// CreateNode asks for a new node.
type CreateNode struct {
	// ID is the new node's id, which no node has.
	ID NodeID
	// Type is the type's id or key.
	Type string
	// Parent is the node to hang it under, zero for a root.
	Parent NodeID
	// Name is the new node's name. Empty: what Properties say, else "New Node".
	Name string
	// Properties are values by property id or key, on top of the type's defaults; null takes a default away.
	Properties map[string]json.RawMessage
	// Index is the place among the siblings, End or anything behind it for the end.
	Index int
}

// Decide creates the node with the defaults of its type.
func (c CreateNode) Decide(g *Graph, schema Schema) (Change, error) {
	rule, ok := typeRule(schema, c.Type)
	if !ok {
		return Change{}, &Rejection{
			Reason:  InvalidNodeType,
			Message: "the template has no node type " + c.Type,
			Details: map[string]string{"blueprint_type_id": c.Type},
		}
	}
	if c.Parent != (NodeID{}) {
		parent, err := g.need("parent_id", c.Parent)
		if err != nil {
			return Change{}, err
		}
		if err := mayHang(schema, parent, rule.ID, CommandFailed); err != nil {
			return Change{}, err
		}
	}
	if _, taken := g.Node(c.ID); taken || c.ID == (NodeID{}) {
		return Change{}, reject(CommandFailed, "the id %s is in use", c.ID)
	}
	n := &Node{ID: c.ID, Type: rule.ID, Parent: c.Parent}
	if err := c.fill(n, rule, schema); err != nil {
		return Change{}, err
	}
	order, touches, err := g.place(c.Parent, c.Index, nil)
	if err != nil {
		return Change{}, err
	}
	n.Order = order
	return Change{Touches: append(touches, Touch{After: n})}, nil
}

// fill sets the new node's properties and its name, which its name property carries too.
func (c CreateNode) fill(n *Node, rule TypeRule, schema Schema) error {
	values := make(map[string]json.RawMessage, len(rule.Defaults)+len(c.Properties)+1)
	maps.Copy(values, rule.Defaults)
	var named json.RawMessage
	for _, ref := range sortedKeys(c.Properties) {
		id, err := resolve(schema, rule, ref)
		if err != nil {
			return err
		}
		value := c.Properties[ref]
		if isNull(value) {
			delete(values, id)
			continue
		}
		if id != PropertyName {
			if value, err = checked(schema, rule.ID, id, value); err != nil {
				return err
			}
			values[id] = value
		}
		if id == PropertyName || id == rule.NameProperty {
			named = value
		}
	}
	if err := c.name(n, named); err != nil {
		return err
	}
	if rule.NameProperty != "" {
		value, err := checked(schema, rule.ID, rule.NameProperty, quoted(n.Name))
		if err != nil {
			return err
		}
		values[rule.NameProperty] = value
	}
	if len(values) > 0 {
		n.Properties = values
	}
	return nil
}

// name names the node: as the command says, else as its name property says.
func (c CreateNode) name(n *Node, property json.RawMessage) (err error) {
	n.Name = c.Name
	if n.Name == "" && property != nil {
		if n.Name, err = nameFrom(property); err != nil {
			return err
		}
	}
	if n.Name == "" {
		n.Name = defaultName
	}
	return checkText("name", n.Name)
}
