package graph

import "encoding/json"

// Command is an intention to edit a graph. It may be refused.
type Command interface {
	// Decide returns what the command does to g under the rules of schema (nil: no rules), or a *Rejection. It reads g
	// and does not alter it.
	Decide(g *Graph, schema Schema) (Change, error)
}

// ParseCommand reads a command from the data of a request. Ids that the client did not give are derived from seed, the
// command's id, so that deciding again, and on another machine, makes the same nodes. The error is a *Rejection.
func ParseCommand(commandType string, data json.RawMessage, seed NodeID) (Command, error) {
	return parse(commandType, newFields(data, nil), seed)
}

func parse(commandType string, f *fields, seed NodeID) (c Command, err error) {
	switch commandType {
	case "CreateNode":
		c = parseCreateNode(f, seed)
	case "DeleteNode":
		c = DeleteNode{Node: f.id("node_id", required)}
	case "LinkNode":
		c = LinkNode{
			Parent: f.id("parent_id", required),
			Child:  f.id("child_id", required),
			Index:  f.index("index", optional, LinkInvalid),
		}
	case "UnlinkNode":
		c = UnlinkNode{Parent: f.id("parent_id", required), Child: f.id("child_id", required)}
	case "UpdateProperty":
		c = UpdateProperty{
			Node:     f.id("node_id", required),
			Property: f.text("property_id", "property_key", required),
			Value:    f.value("new_value"),
		}
	case "MoveNode":
		c = MoveNode{
			Node:   f.id("node_id", required),
			Parent: f.id("new_parent_id", required),
			Index:  f.index("index", optional, MoveInvalid),
		}
	case "ReorderNode":
		c = ReorderNode{Node: f.id("node_id", required), Index: f.index("new_index", required, ReorderInvalid)}
	case "ApplyKit":
		c = ApplyKit{Target: f.id("target_id", required), Kit: f.id("kit_root_id", required), Seed: seed}
	case "DeleteProperty", "DeleteOrphanedProperty":
		c = DeleteProperty{Node: f.id("node_id", required), Property: f.text("property_id", "property_key", required)}
	default:
		return nil, reject(InvalidCommand, "unknown command_type %.64q", commandType)
	}
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}

func parseCreateNode(f *fields, seed NodeID) CreateNode {
	c := CreateNode{
		ID:         f.id("id", optional),
		Type:       f.text("blueprint_type_id", "", required),
		Parent:     f.id("parent_id", optional),
		Name:       f.text("name", "", optional),
		Properties: f.values("properties"),
		Index:      f.index("index", optional, InvalidCommand),
	}
	if c.ID == (NodeID{}) {
		c.ID = derive(seed, []byte("node"))
	}
	return c
}
