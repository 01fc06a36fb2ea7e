package render

import (
	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

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
	dst = textOrNull(append(dst, `,"icon_id":`...), nt.IconOf(n.Properties))
	dst = append(dst, `,"allowed_children":[`...)
	for i, child := range nt.AllowedChildren {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = UUID(dst, child)
	}
	return append(dst, ']')
}

// appendIndicator writes the mark of the node's state, in the two forms that clients read.
func appendIndicator(dst []byte, nt *blueprint.NodeType, n *graph.Node) []byte {
	mark, ok := nt.IndicatorOf(n.Properties)
	if !ok {
		return append(dst, `,"indicator_id":null,"indicator_set":null`...)
	}
	dst = wire.AppendMember(append(dst, `,"indicator":{`...), "indicator_set", mark.Set)
	dst = wire.AppendMember(append(dst, ','), "indicator_id", mark.ID)
	dst = wire.AppendMember(append(dst, ','), "bullet", mark.Bullet)
	dst = wire.AppendMember(append(dst, `},`...), "indicator_id", mark.ID)
	return wire.AppendMember(append(dst, ','), "indicator_set", mark.Set)
}
