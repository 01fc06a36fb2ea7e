package blueprint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/talus-tally/talus/pkg/graph"
)

var _ graph.Schema = (*Template)(nil)

// index makes the lookups of a template whose fields are all valid, and resolves which types
// may stand below which.
func (t *Template) index(d *decoder) {
	t.byRef = make(map[string]*NodeType, 2*len(t.NodeTypes))
	for i := range t.NodeTypes {
		n := &t.NodeTypes[i]
		d.typ = n.Key
		for field, ref := range map[string]string{"id": n.Key, "uuid": n.ref} {
			if other, taken := t.byRef[ref]; taken && other != n {
				d.problem(0, field, "%q is already the type %q", ref, other.Key)
			}
			t.byRef[ref] = n
		}
		n.index(d)
	}
	for i := range t.NodeTypes {
		n := &t.NodeTypes[i]
		d.typ = n.Key
		n.allowed = make(map[string]bool, len(n.childRefs))
		for _, ref := range n.childRefs {
			child, ok := t.byRef[ref]
			if !ok {
				child, ok = t.byRef[strings.ToLower(ref)]
			}
			if !ok {
				d.problem(0, "allowed_children", "there is no node type %q", ref)

				continue
			}
			if !n.allowed[child.ref] {
				n.allowed[child.ref] = true
				n.AllowedChildren = append(n.AllowedChildren, child.ID)
			}
		}
	}
	d.typ = ""
}

// index makes the lookups of one type. Ids come before ids in the file, and those before keys.
func (n *NodeType) index(d *decoder) {
	n.byRef = make(map[string]*Property, 2*len(n.Properties))
	add := func(ref string, p *Property) bool {
		if _, taken := n.byRef[ref]; taken {
			return false
		}
		n.byRef[ref] = p

		return true
	}
	for i := range n.Properties {
		p := &n.Properties[i]
		if !add(p.ref, p) {
			d.problem(0, "properties."+p.Declared+".uuid", "%s is already the id of another property", p.ref)
		}
		p.byOption = make(map[string]*Option, 2*len(p.Options))
		for j := range p.Options {
			p.byOption[p.Options[j].ID] = &p.Options[j]
		}
		for j := range p.Options {
			if _, taken := p.byOption[p.Options[j].Name]; !taken {
				p.byOption[p.Options[j].Name] = &p.Options[j]
			}
		}
	}
	for i := range n.Properties {
		add(n.Properties[i].Declared, &n.Properties[i])
	}
	for i := range n.Properties {
		add(n.Properties[i].Key, &n.Properties[i])
	}
	n.indexHints()
	n.rule = graph.TypeRule{ID: n.ref, Defaults: n.defaults()}
	if n.nameProperty != nil {
		n.rule.NameProperty = n.nameProperty.ref
	}
}

// defaults are the values of a new node by property id.
func (n *NodeType) defaults() map[string]json.RawMessage {
	out := make(map[string]json.RawMessage)
	for i := range n.Properties {
		if p := &n.Properties[i]; p.Default != nil {
			out[p.ref] = p.Default
		}
	}

	return out
}

// Type implements graph.Schema.
func (t *Template) Type(ref string) (graph.TypeRule, bool) {
	n, ok := t.NodeType(ref)
	if !ok {
		return graph.TypeRule{}, false
	}

	return n.rule, true
}

// Allows implements graph.Schema. A type that the template does not have may stand nowhere.
func (t *Template) Allows(parent, child string) bool {
	n, ok := t.NodeType(parent)
	if !ok {
		return false
	}
	c, ok := t.NodeType(child)

	return ok && n.allowed[c.ref]
}

// Property implements graph.Schema.
func (t *Template) Property(typ, ref string) (string, bool) {
	n, ok := t.NodeType(typ)
	if !ok {
		return "", false
	}
	p, ok := n.Property(ref)
	if !ok {
		return "", false
	}

	return p.ref, true
}

// Value implements graph.Schema. A value that fits is stored as it was given: clients find a
// select's option by id or by name, and a number that came as text keeps its form.
func (t *Template) Value(typ, property string, value json.RawMessage) (json.RawMessage, error) {
	n, ok := t.NodeType(typ)
	if !ok {
		return nil, fmt.Errorf("there is no node type %q", typ)
	}
	p, ok := n.Property(property)
	if !ok {
		return nil, fmt.Errorf("%s has no property %q", n.Name, property)
	}
	if err := p.check(value); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}

	return value, nil
}

// check says whether a value fits the property's type. Types that are not listed take any.
func (p *Property) check(value json.RawMessage) error {
	text, isText := textOf(value)
	switch p.Type {
	case typeSelect:
		if _, ok := p.Option(text); !isText || !ok {
			return fmt.Errorf("must be one of %s", p.optionNames())
		}
	case typeNumber, typeCurrency:
		if !isText {
			text = string(value)
		}
		if !json.Valid([]byte(strings.TrimSpace(text))) || !numeric(strings.TrimSpace(text)) {
			return errors.New("must be a number")
		}
	case typeCheckbox:
		if s := string(value); s != "true" && s != "false" {
			return errors.New("must be true or false")
		}
	case typeDate:
		if !isText || !isDate(text) {
			return errors.New("must be a date like 2026-03-31")
		}
	}

	return nil
}

// numeric says whether JSON text is a number. A number too large for a float64 is one.
func numeric(text string) bool {
	return text != "" && (text[0] == '-' || '0' <= text[0] && text[0] <= '9')
}

// isDate accepts the ISO 8601 forms that clients send: a day, or a day with a time.
func isDate(text string) bool {
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04"} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}

	return false
}

// optionNames lists the options for people, at most ten of them.
func (p *Property) optionNames() string {
	const shown = 10
	var b strings.Builder
	for i, o := range p.Options {
		if i == shown {
			b.WriteString(", …")

			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(o.Name))
	}

	return b.String()
}
