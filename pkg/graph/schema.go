package graph

import "encoding/json"

// Schema is what the commands need of a template. A nil Schema allows every type, property, value and child.
type Schema interface {
	// Type finds a node type by its stored id or its key; false when the template has no such type.
	Type(ref string) (TypeRule, bool)

	// Allows reports whether a node of type child may hang under one of type parent, both given by stored id. Either
	// may be unknown to the template.
	Allows(parent, child string) bool

	// Property finds a property of the type with the stored id typ by the property's stored id or key, and returns
	// its stored id; false when the type does not declare it.
	Property(typ, ref string) (id string, ok bool)

	// Value checks a value (compact JSON, never null) against the property with the stored id property, and returns
	// the form to store: a select's option by id, a number from numeric text, and so on. The error says for people
	// what would fit.
	Value(typ, property string, value json.RawMessage) (json.RawMessage, error)
}

// TypeRule is what a Schema says about one node type.
type TypeRule struct {
	// ID is the stored id of the type.
	ID string
	// Defaults are the values of a new node by stored property id, as compact JSON. It is read, never changed.
	Defaults map[string]json.RawMessage
	// NameProperty is the stored id of the property that the node's name follows, empty when there is none.
	NameProperty string
}
