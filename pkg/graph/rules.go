package graph

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Limits on what a client gives.
const (
	// MaxName is the greatest length of a name, a type, a property id or a ref, in characters.
	MaxName = 1_000
	// MaxValue is the greatest size of a property value, in bytes of compact JSON.
	MaxValue = 256 << 10
	// MaxDepth is how deep the data of a command may nest.
	MaxDepth = 64
)

// defaultName is the name of a node that is created without one.
const defaultName = "New Node"

// need returns the node with that id, or the refusal of a command that names it in field.
func (g *Graph) need(field string, id NodeID) (*Node, error) {
	if n, ok := g.Node(id); ok {
		return n, nil
	}
	return nil, unknown(field, id)
}

// typeRule returns the rule of a type; without a schema every type is known and has no rules.
func typeRule(schema Schema, typ string) (TypeRule, bool) {
	if schema == nil {
		return TypeRule{ID: typ}, true
	}
	return schema.Type(typ)
}

// mayHang refuses, for reason, to hang a node of type child under parent where the schema forbids it.
func mayHang(schema Schema, parent *Node, child string, reason Reason) error {
	switch {
	case schema == nil:
		return nil
	case parent.Orphaned():
		return reject(reason, "%q is orphaned and takes no children", parent.Name)
	case !schema.Allows(parent.Type, child):
		return reject(reason, "%q takes no children of that type", parent.Name)
	}
	return nil
}

// editable refuses to edit an orphaned node.
func editable(schema Schema, n *Node) error {
	if schema != nil && n.Orphaned() {
		return reject(CommandFailed, "%q is orphaned and cannot be edited", n.Name)
	}
	return nil
}

// resolve returns the stored id of a property that a command names. "name" is the name property of types that have one,
// and else stands for itself: the bare name of the node.
func resolve(schema Schema, rule TypeRule, ref string) (string, error) {
	if ref == PropertyName && rule.NameProperty != "" {
		return rule.NameProperty, nil
	}
	if schema == nil {
		return ref, nil
	}
	if id, ok := schema.Property(rule.ID, ref); ok {
		return id, nil
	}
	if ref == PropertyName {
		return PropertyName, nil
	}
	return "", &Rejection{
		Reason:  CommandFailed,
		Message: "the type of the node declares no property " + ref,
		Details: map[string]string{"property_id": ref},
	}
}

// isNull reports whether value is absent or null.
func isNull(value json.RawMessage) bool { return value == nil || string(value) == "null" }

// checked returns the form in which a value of a declared property is stored.
func checked(schema Schema, typ, property string, value json.RawMessage) (json.RawMessage, error) {
	if schema == nil {
		return value, nil
	}
	stored, err := schema.Value(typ, property, value)
	if err != nil {
		return nil, &Rejection{
			Reason:  CommandFailed,
			Message: err.Error(),
			Details: map[string]string{"property_id": property},
		}
	}
	return stored, nil
}

// nameFrom returns the name that a node gets from a value of its name property, which must be text.
func nameFrom(value json.RawMessage) (string, error) {
	if value[0] != '"' {
		return "", reject(CommandFailed, "a name must be text")
	}
	name := unquoted(value)
	return name, checkText("name", name)
}

// checkText refuses texts that are too long or hold a NUL.
func checkText(field, s string) error {
	if len(s) > MaxName && utf8.RuneCountInString(s) > MaxName {
		return reject(InvalidCommand, "%s is longer than %d characters", field, MaxName)
	}
	if strings.ContainsRune(s, 0) {
		return reject(InvalidCommand, "%s holds a NUL character", field)
	}
	return nil
}
