// Package blueprint reads the templates that say what a graph may consist of: which types of
// node there are, which of them may stand below which, and which properties each type has.
//
// It promises that the same file always gives the same ids, on every instance and in every
// version of the program, because the ids of types, properties and options are derived from
// their keys (see [Stable]) and stored in sessions and projects. It promises that a template
// that was read is valid: every key in it resolves. A [Template] and a [Library] never change
// after they were made, so all goroutines may read them without a lock.
//
// It does not watch the template directory, and it does not know Redis, HTTP or sessions. What
// the graph needs of a template is the interface graph.Schema, which *Template implements.
package blueprint

import (
	"crypto/sha1"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/graph"
)

// Template is one blueprint file, validated and with all ids derived. It is read-only.
type Template struct {
	ID           string          // the stem of the file's name
	Name         string          // for people
	Version      string          // as written in the file; may be empty
	Description  string          // may be empty
	UUID         string          // as written in the file; may be empty
	BlockingView json.RawMessage // passed through to clients; nil when the file has none
	NodeTypes    []NodeType      // in the order of the file, never empty

	byRef  map[string]*NodeType
	schema []byte
}

// NodeType is one kind of node, with the properties that its features add.
type NodeType struct {
	ID                uuid.UUID
	Key               string // the id in the file, for instance "task"
	Name              string // for people
	AllowedChildren   []uuid.UUID
	AllowedAssetTypes []string
	Features          []string
	Icon              string    // may be empty
	Shape             string    // may be empty
	Color             string    // may be empty
	BaseType          string    // may be empty
	PrimaryStatus     uuid.UUID // property whose value stands for the node's state; zero: none
	Properties        []Property

	ref          string // ID as text
	childRefs    []string
	allowed      map[string]bool // by the child's ref
	rule         graph.TypeRule
	byRef        map[string]*Property
	indicators   []*Property
	iconRefs     []string
	references   []string
	nameProperty *Property
}

// Property is one field that nodes of a type may have.
type Property struct {
	ID            uuid.UUID
	Declared      string // the id in the file; differs from Key for a feature's property beside a declared one
	Key           string // the name that programs use, for instance "status"
	Name          string // for people
	Type          string // text, number, currency, checkbox, date, select, node_reference, editor, object …
	Required      bool
	SystemLocked  bool
	Options       []Option        // of a select never empty
	Default       json.RawMessage // the value of a new node, nil: none. Of a select the id of an option, as JSON text
	IndicatorSet  string
	UIGroup       string
	SemanticRole  string
	TargetType    string
	MarkupProfile string
	MarkupTokens  json.RawMessage // nil: none

	ref      string // ID as text
	byOption map[string]*Option
}

// Option is one choice of a select.
type Option struct {
	ID          string // normally UUID text; whatever the file says if it gives one
	Name        string
	IndicatorID string // may be empty
	Bullet      string // may be empty
}

// NodeType finds a type by its UUID text or its key.
func (t *Template) NodeType(ref string) (*NodeType, bool) {
	nt, ok := t.byRef[ref]

	return nt, ok
}

// Property finds a property of the type by its UUID text, its id in the file or its key, in
// this order: a declared "status" comes before the one that a feature added beside it.
func (n *NodeType) Property(ref string) (*Property, bool) {
	p, ok := n.byRef[ref]

	return p, ok
}

// NameProperty is the property that mirrors the node's name: the one called "name", else the
// one whose semantic role is "name". It is nil when the type has none.
func (n *NodeType) NameProperty() *Property { return n.nameProperty }

// Option finds an option by its id or its name.
func (p *Property) Option(ref string) (*Option, bool) {
	o, ok := p.byOption[ref]

	return o, ok
}

// Ref is the type's id as lower-case UUID text, as nodes store it.
func (n *NodeType) Ref() string { return n.ref }

// Ref is the property's id as lower-case UUID text, as nodes store it.
func (p *Property) Ref() string { return p.ref }

// Stable derives the id of a named thing: the first 16 bytes of SHA-1 of "ns:name", as they are.
// Version and variant bits are not set, so the result is UUID text but no RFC 9562 UUID. Nothing
// is protected by the hash: the ids of existing projects are made so.
func Stable(ns, name string) uuid.UUID {
	sum := sha1.Sum([]byte(ns + ":" + name))

	return uuid.UUID(sum[:16])
}

// TypeID is the id of a node type that states none.
func TypeID(typeKey string) uuid.UUID { return Stable("node_type", typeKey) }

// PropertyID is the id of a property that states none. declared is its id in the file.
func PropertyID(typeKey, declared string) uuid.UUID { return Stable("property."+typeKey, declared) }

// OptionID is the id of an option that states none.
func OptionID(typeKey, declared, option string) uuid.UUID {
	return Stable(typeKey+"."+declared, option)
}
