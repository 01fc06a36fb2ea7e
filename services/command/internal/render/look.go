package render

import (
	"encoding/json"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

// defaultBullet is drawn for an option that declares none.
const defaultBullet = "•"

// look writes what the template says about drawing a node.
type look struct {
	template *blueprint.Template // nil: none
	lastRef  string
	last     *blueprint.NodeType // the type of the node written before: neighbours mostly share theirs
}

func (l *look) nodeType(ref string) *blueprint.NodeType {
	if l.template == nil {
		return nil
	}
	if ref != l.lastRef || l.last == nil {
		l.last, _ = l.template.NodeType(ref)
		l.lastRef = ref
	}
	return l.last
}

// append writes the drawing hints of n as members that begin with a comma.
func (l *look) append(dst []byte, n *graph.Node) []byte {
	nt := l.nodeType(n.Type)
	if nt == nil {
		return append(dst, `,"indicator_id":null,"indicator_set":null,"icon_id":null,"allowed_children":[]`...)
	}
	if nt.Shape != "" {
		dst = wire.AppendMember(append(dst, ','), "schema_shape", nt.Shape)
	}
	if nt.Color != "" {
		dst = wire.AppendMember(append(dst, ','), "schema_color", nt.Color)
	}
	dst = appendIndicator(dst, nt, n)
	dst = textOrNull(append(dst, `,"icon_id":`...), icon(nt, n))
	dst = append(dst, `,"allowed_children":[`...)
	for i, child := range nt.AllowedChildren {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = UUID(dst, child)
	}
	return append(dst, ']')
}

// appendIndicator writes the mark of the first property, in the order of the template, that has one for its value.
func appendIndicator(dst []byte, nt *blueprint.NodeType, n *graph.Node) []byte {
	property, option := indicator(nt, n)
	if option == nil {
		return append(dst, `,"indicator_id":null,"indicator_set":null`...)
	}
	id, bullet := option.IndicatorID, option.Bullet
	if id == "" {
		id = option.Name
	}
	if bullet == "" {
		bullet = defaultBullet
	}
	dst = wire.AppendMember(append(dst, `,"indicator":{`...), "indicator_set", property.IndicatorSet)
	dst = wire.AppendMember(append(dst, ','), "indicator_id", id)
	dst = wire.AppendMember(append(dst, ','), "bullet", bullet)
	dst = wire.AppendMember(append(dst, `},`...), "indicator_id", id)
	return wire.AppendMember(append(dst, ','), "indicator_set", property.IndicatorSet)
}

func indicator(nt *blueprint.NodeType, n *graph.Node) (*blueprint.Property, *blueprint.Option) {
	for i := range nt.Properties {
		p := &nt.Properties[i]
		if len(p.Options) == 0 || p.IndicatorSet == "" {
			continue
		}
		if value := text(n.Properties[p.Ref()]); value != "" {
			if option, ok := p.Option(value); ok {
				return p, option
			}
		}
	}
	return nil, nil
}

// icon is the type's own icon, else the one that the node's properties name, else empty.
func icon(nt *blueprint.NodeType, n *graph.Node) string {
	if nt.Icon != "" {
		return nt.Icon
	}
	for _, key := range [...]string{"icon", "icon_id"} {
		ref := key
		if p, ok := nt.Property(key); ok {
			ref = p.Ref()
		}
		if value := text(n.Properties[ref]); value != "" {
			return value
		}
	}
	return ""
}

// text is the value of a JSON string, and empty for every other value.
func text(value json.RawMessage) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	for _, c := range value {
		if c == '\\' {
			var s string
			_ = json.Unmarshal(value, &s) // what is in a graph is valid
			return s
		}
	}
	return string(value[1 : len(value)-1])
}
