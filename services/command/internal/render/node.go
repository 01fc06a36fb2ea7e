package render

import (
	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

// Node appends the answer to a read of one node at a version of the graph: its fields, its parent and the ids of its
// children in order. The type's name is null when the template does not know the type.
func Node(dst []byte, g *graph.Graph, n *graph.Node, t *blueprint.Template, version uint64) []byte {
	dst = append(UUID(append(dst, `{"id":`...), n.ID), `,"blueprint_type_id":`...)
	dst = append(wire.AppendString(dst, n.Type), `,"blueprint_type_name":`...)
	dst = append(textOrNull(dst, typeName(t, n.Type)), `,"name":`...)
	dst = append(wire.AppendString(dst, n.Name), `,"properties":`...)
	dst, keys := members(dst, n.Properties, nil)
	dst = append(dst, `,"metadata":`...)
	dst, _ = members(dst, n.Metadata, keys)
	dst = append(UUIDOrNull(append(dst, `,"parent_id":`...), n.Parent), `,"children":[`...)
	first := true
	for child := range g.Children(n.ID) {
		if !first {
			dst = append(dst, ',')
		}
		dst, first = UUID(dst, child.ID), false
	}
	dst = append(dst, `],`...)
	return append(wire.AppendNumber(dst, "version", version), '}')
}

func typeName(t *blueprint.Template, ref string) string {
	if t == nil {
		return ""
	}
	if nt, ok := t.NodeType(ref); ok {
		return nt.Name
	}
	return ""
}
