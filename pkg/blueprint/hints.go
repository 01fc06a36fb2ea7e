package blueprint

import (
	"encoding/json"
	"strings"
)

// defaultBullet marks an option whose template gives no bullet.
const defaultBullet = "•"

// Indicator is the mark that shows a node's state.
type Indicator struct {
	Set    string // the property's indicator set
	ID     string // the option's indicator, else its name
	Bullet string // the option's bullet, else "•"
}

// indexHints finds the properties that decide how a node is drawn.
func (n *NodeType) indexHints() {
	for i := range n.Properties {
		p := &n.Properties[i]
		if len(p.Options) > 0 && p.IndicatorSet != "" {
			n.indicators = append(n.indicators, p)
		}
		if p.Type == typeNodeReference {
			n.references = append(n.references, p.ref)
		}
		if p.Declared == "name" || n.nameProperty == nil && p.SemanticRole == "name" {
			n.nameProperty = p
		}
	}
	for _, key := range []string{"icon", "icon_id"} {
		if p, ok := n.Property(key); ok {
			n.iconRefs = append(n.iconRefs, p.ref)
		}
		n.iconRefs = append(n.iconRefs, key)
	}
}

// IndicatorOf chooses the mark of a node with these properties: that of the first property in
// template order which has options and an indicator set and whose value is one of its options,
// by id or by name. It is false when there is none.
func (n *NodeType) IndicatorOf(properties map[string]json.RawMessage) (Indicator, bool) {
	for _, p := range n.indicators {
		text, ok := textOf(properties[p.ref])
		if !ok {
			continue
		}
		o, ok := p.Option(text)
		if !ok {
			continue
		}
		mark := Indicator{Set: p.IndicatorSet, ID: o.IndicatorID, Bullet: o.Bullet}
		if mark.ID == "" {
			mark.ID = o.Name
		}
		if mark.Bullet == "" {
			mark.Bullet = defaultBullet
		}

		return mark, true
	}

	return Indicator{}, false
}

// IconOf is the icon of a node with these properties: the type's own, else the value of its
// property "icon" or "icon_id", else empty.
func (n *NodeType) IconOf(properties map[string]json.RawMessage) string {
	if n.Icon != "" {
		return n.Icon
	}
	for _, ref := range n.iconRefs {
		if text, ok := textOf(properties[ref]); ok && strings.TrimSpace(text) != "" {
			return text
		}
	}

	return ""
}

// NodeReferences are the ids of the properties whose values name nodes. It must not be changed.
func (n *NodeType) NodeReferences() []string { return n.references }
