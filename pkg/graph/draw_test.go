package graph_test

import (
	"encoding/json"
	"slices"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/talus-tally/talus/pkg/graph"
)

// someNode draws a node of the graph, now and then one that is not there.
func (m *machine) someNode(t *rapid.T, label string) string {
	var ids []string
	for n := range m.g.All() {
		ids = append(ids, n.ID.String())
	}
	slices.Sort(ids)
	ids = append(ids, id(99).String())
	return rapid.SampledFrom(ids).Draw(t, label)
}

// command draws the type and the data of a command.
func (m *machine) command(t *rapid.T) (commandType string, data map[string]any) {
	node := func(label string) string { return m.someNode(t, label) }
	index := rapid.IntRange(0, 6)
	switch commandType = rapid.SampledFrom([]string{
		"CreateNode", "CreateNode", "CreateNode", "DeleteNode", "LinkNode", "UnlinkNode", "UpdateProperty",
		"UpdateProperty", "MoveNode", "ReorderNode", "ApplyKit", "DeleteProperty", "DeleteOrphanedProperty",
	}).Draw(t, "type"); commandType {
	case "CreateNode":
		data = map[string]any{"blueprint_type_id": rapid.SampledFrom([]string{house, "room", thing, "gone"}).Draw(t, "kind")}
		if rapid.IntRange(0, 4).Draw(t, "hang") > 0 {
			data["parent_id"] = node("parent_id")
		}
		if rapid.Bool().Draw(t, "placed") {
			data["index"] = index.Draw(t, "index")
		}
		if rapid.Bool().Draw(t, "named") {
			data["name"] = rapid.StringN(0, 5, 20).Draw(t, "name")
		}
	case "DeleteNode":
		data = map[string]any{"node_id": node("node_id")}
	case "LinkNode":
		data = map[string]any{"parent_id": node("parent_id"), "child_id": node("child_id"), "index": index.Draw(t, "index")}
	case "UnlinkNode":
		child := node("child_id")
		data = map[string]any{"parent_id": node("parent_id"), "child_id": child}
		if n, ok := m.g.Node(uuid.MustParse(child)); ok && n.Parent != (graph.NodeID{}) {
			data["parent_id"] = n.Parent
		}
	case "UpdateProperty":
		data = map[string]any{"node_id": node("node_id"), "property_id": property(t), "new_value": value(t)}
	case "MoveNode":
		data = map[string]any{"node_id": node("node_id"), "new_parent_id": node("new_parent_id")}
		if rapid.Bool().Draw(t, "placed") {
			data["index"] = index.Draw(t, "index")
		}
	case "ReorderNode":
		data = map[string]any{"node_id": node("node_id"), "new_index": index.Draw(t, "index")}
	case "ApplyKit":
		data = map[string]any{"target_id": node("target_id"), "kit_root_id": node("kit_root_id")}
	default:
		data = map[string]any{"node_id": node("node_id"), "property_key": property(t)}
	}
	return commandType, data
}

func property(t *rapid.T) string {
	return rapid.SampledFrom([]string{"name", title, "status", "width", "height", "depth"}).Draw(t, "property")
}

func value(t *rapid.T) json.RawMessage {
	return json.RawMessage(rapid.SampledFrom([]string{
		`null`, `"Done"`, `"Open"`, `9007199254740993`, ` 1.50 `, `"12"`, `"x \u2028 <b> ☃"`, `{ "b" : [ 1 , 2 ] , "a" : null }`,
	}).Draw(t, "value"))
}
