package blueprint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// draft is a property before its ids are derived: features fill and add drafts.
type draft struct {
	Property

	line  int
	uuid  string // as written; empty: derived
	value json.RawMessage
	given map[string]bool // fields that the file sets; a feature fills in the rest
}

// properties reads what the type declares and adds what its features bring.
func (d *decoder) properties(e element, n *NodeType) []draft {
	items := d.list(e, "properties")
	out := make([]draft, 0, len(items))
	seen := make(map[string]bool, len(items))
	for i, item := range items {
		d.prefix = fmt.Sprintf("properties[%d].", i)
		if item.kind != kindMap {
			d.problem(item.line, "", "a property is a mapping")

			continue
		}
		p := d.property(item)
		if seen[p.Declared] && p.Declared != "" {
			d.problem(item.line, "id", "the property %q is declared twice", p.Declared)
		}
		seen[p.Declared] = true
		out = append(out, p)
	}
	d.prefix = ""

	return withFeatures(n, out)
}

func (d *decoder) property(e element) draft {
	p := draft{line: e.line, given: make(map[string]bool, len(e.members))}
	for _, m := range e.members {
		p.given[m.name] = m.value.kind != kindNull
	}
	p.Declared = d.required(e, "id")
	if p.Declared != "" {
		d.prefix = "properties." + p.Declared + "."
	}
	p.Key = p.Declared
	if key := d.text(e, "key"); key != "" {
		p.Key = key
	}
	p.uuid = d.text(e, "uuid")
	d.id(e, "uuid", uuid.Nil)
	p.SystemLocked, p.Required = d.flag(e, "system_locked"), d.flag(e, "required")
	p.Name, p.Type = d.text(e, "label"), d.text(e, "type")
	if p.Name == "" {
		p.Name = d.text(e, "name")
	}
	p.Options = d.options(e)
	p.IndicatorSet, p.UIGroup = d.text(e, "indicator_set"), d.text(e, "ui_group")
	p.SemanticRole, p.TargetType = d.text(e, "semantic_role"), d.text(e, "target_type")
	p.MarkupProfile = d.text(e, "markup_profile")
	if v, ok := e.lookup("markup_tokens"); ok {
		p.MarkupTokens = v.json()
	}
	if v, ok := e.lookup("value"); ok {
		p.value = v.json()
	}

	return p
}

func (d *decoder) options(e element) []Option {
	items := d.list(e, "options")
	out := make([]Option, 0, len(items))
	seen := make(map[string]bool, len(items))
	prefix := d.prefix
	for i, item := range items {
		d.prefix = fmt.Sprintf("%soptions[%d].", prefix, i)
		o := Option{Name: item.text}
		if item.kind == kindMap {
			o = Option{
				ID: d.text(item, "id"), Name: d.required(item, "name"),
				IndicatorID: d.text(item, "indicator_id"), Bullet: d.text(item, "bullet"),
			}
		} else if item.kind == kindList || item.text == "" {
			d.problem(item.line, "", "an option is text or a mapping with a name")
		}
		if seen[o.Name] && o.Name != "" {
			d.problem(item.line, "name", "the option %q is declared twice", o.Name)
		}
		seen[o.Name] = true
		out = append(out, o)
	}
	d.prefix = prefix

	return out
}

// identify checks what must hold after the features were applied, and derives the ids.
func (d *decoder) identify(n *NodeType, drafts []draft) {
	n.Properties = make([]Property, 0, len(drafts))
	for _, p := range drafts {
		d.prefix = "properties." + p.Declared + "."
		if p.Name == "" {
			d.problem(p.line, "label", "is required")
		}
		if p.Type == "" {
			d.problem(p.line, "type", "is required")
		}
		if p.Type == typeSelect && len(p.Options) == 0 {
			d.problem(p.line, "options", "a select needs at least one option")
		}
		p.ID = PropertyID(n.Key, p.Declared)
		if id, err := uuid.Parse(p.uuid); err == nil {
			p.ID = id
		}
		p.ref = p.ID.String()
		for i := range p.Options {
			if p.Options[i].ID == "" {
				p.Options[i].ID = OptionID(n.Key, p.Declared, p.Options[i].Name).String()
			}
		}
		p.setDefault()
		n.Properties = append(n.Properties, p.Property)
	}
	d.prefix = ""
}

// setDefault derives the value of new nodes: a select has one always, its "value" if that names
// an option and else its first option, as an option id.
func (p *draft) setDefault() {
	p.Default = p.value
	if p.Type != typeSelect || len(p.Options) == 0 {
		return
	}
	chosen := p.Options[0]
	want, ok := textOf(p.value)
	for _, o := range p.Options {
		if ok && (o.Name == want || strings.EqualFold(o.ID, want)) {
			chosen = o

			break
		}
	}
	p.Default = appendText(nil, chosen.ID)
}

// textOf is the text of a valid JSON value that is a string.
func textOf(raw json.RawMessage) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}

	return s, true
}
