package graph_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/graph"
)

// data writes a JSON object of the pairs; a number n stands for the id of node n.
func data(pairs ...any) string {
	var members []string
	for i := 0; i < len(pairs); i += 2 {
		var value string
		switch v := pairs[i+1].(type) {
		case int:
			value = strconv.Quote(id(v).String())
		case string:
			value = v
		}
		members = append(members, strconv.Quote(pairs[i].(string))+":"+value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

func TestACommandAgainstTheRulesIsRefusedWithItsReasonAndChangesNothing(t *testing.T) {
	t.Parallel()
	long := strconv.Quote(strings.Repeat("é", graph.MaxName+1))
	for _, test := range []struct {
		name, commandType, data string
		want                    graph.Reason
	}{
		{"unknown verb", "FlyNode", `{}`, graph.InvalidCommand},
		{"batch inside", "Batch", `{"commands":[]}`, graph.InvalidCommand},
		{"no data", "DeleteNode", ``, graph.InvalidCommand},
		{"null data", "DeleteNode", `null`, graph.InvalidCommand},
		{"a list as data", "DeleteNode", `[]`, graph.InvalidCommand},
		{"broken data", "DeleteNode", `{"node_id":`, graph.InvalidCommand},
		{"not UTF-8", "CreateNode", data("blueprint_type_id", `"room"`, "name", "\"\xff\""), graph.InvalidCommand},
		{"too deep", "UpdateProperty", data("node_id", 2, "property_id", `"x"`, "new_value", strings.Repeat("[", 64)+strings.Repeat("]", 64)), graph.InvalidCommand},
		{"other letters in a field's name", "DeleteNode", data("NODE_ID", 2), graph.InvalidCommand},
		{"an id that is a number", "DeleteNode", data("node_id", `7`), graph.InvalidCommand},
		{"an id that is no UUID", "DeleteNode", data("node_id", `"hall"`), graph.InvalidCommand},
		{"an id in braces", "DeleteNode", data("node_id", `"{`+id(2).String()+`}"`), graph.InvalidCommand},
		{"the zero id", "DeleteNode", data("node_id", `"00000000-0000-0000-0000-000000000000"`), graph.InvalidCommand},

		{"create without a type", "CreateNode", data("name", `"x"`), graph.InvalidCommand},
		{"create with an empty type", "CreateNode", data("blueprint_type_id", `""`), graph.InvalidCommand},
		{"create of an unknown type", "CreateNode", data("blueprint_type_id", `"moat"`), graph.InvalidNodeType},
		{"create under an unknown node", "CreateNode", data("blueprint_type_id", `"room"`, "parent_id", 30), graph.NodeNotFound},
		{"create where the type may not be", "CreateNode", data("blueprint_type_id", `"thing"`, "parent_id", 1), graph.CommandFailed},
		{"create under an orphan", "CreateNode", data("blueprint_type_id", `"room"`, "parent_id", 8), graph.CommandFailed},
		{"create with an id in use", "CreateNode", data("blueprint_type_id", `"room"`, "id", 2), graph.CommandFailed},
		{"create with a long name", "CreateNode", data("blueprint_type_id", `"room"`, "name", long), graph.InvalidCommand},
		{"create with NUL in the name", "CreateNode", data("blueprint_type_id", `"room"`, "name", `"a\u0000"`), graph.InvalidCommand},
		{"create with a name that is a number", "CreateNode", data("blueprint_type_id", `"room"`, "name", `7`), graph.InvalidCommand},
		{"create with a long name in its property", "CreateNode", data("blueprint_type_id", `"room"`, "properties", `{"title":`+long+`}`), graph.InvalidCommand},
		{"create with an undeclared property", "CreateNode", data("blueprint_type_id", `"room"`, "properties", `{"colour":1}`), graph.CommandFailed},
		{"create with a value that does not fit", "CreateNode", data("blueprint_type_id", `"room"`, "properties", `{"width":"wide"}`), graph.CommandFailed},
		{"create with a list of properties", "CreateNode", data("blueprint_type_id", `"room"`, "properties", `[]`), graph.InvalidCommand},
		{"create with a nameless property", "CreateNode", data("blueprint_type_id", `"room"`, "properties", `{"":1}`), graph.InvalidCommand},
		{"create with a long property id", "CreateNode", data("blueprint_type_id", `"room"`, "properties", `{`+long+`:1}`), graph.InvalidCommand},
		{"create at a negative place", "CreateNode", data("blueprint_type_id", `"room"`, "index", `-1`), graph.InvalidCommand},

		{"delete of an unknown node", "DeleteNode", data("node_id", 30), graph.NodeNotFound},

		{"link of an unknown child", "LinkNode", data("parent_id", 1, "child_id", 30), graph.NodeNotFound},
		{"link to an unknown parent", "LinkNode", data("parent_id", 30, "child_id", 5), graph.NodeNotFound},
		{"link of what has a parent", "LinkNode", data("parent_id", 3, "child_id", 4), graph.LinkInvalid},
		{"link to itself", "LinkNode", data("parent_id", 5, "child_id", 5), graph.LinkInvalid},
		{"link in a circle", "LinkNode", data("parent_id", 6, "child_id", 5), graph.LinkInvalid},
		{"link where the type may not be", "LinkNode", data("parent_id", 2, "child_id", 1), graph.LinkInvalid},
		{"link under an orphan", "LinkNode", data("parent_id", 8, "child_id", 5), graph.LinkInvalid},
		{"link at no place", "LinkNode", data("parent_id", 1, "child_id", 5, "index", `"0"`), graph.LinkInvalid},

		{"unlink of an unknown parent", "UnlinkNode", data("parent_id", 30, "child_id", 2), graph.NodeNotFound},
		{"unlink of an unknown child", "UnlinkNode", data("parent_id", 1, "child_id", 30), graph.NodeNotFound},
		{"unlink from another", "UnlinkNode", data("parent_id", 3, "child_id", 4), graph.LinkInvalid},

		{"set on an unknown node", "UpdateProperty", data("node_id", 30, "property_id", `"width"`, "new_value", `1`), graph.NodeNotFound},
		{"set without a property", "UpdateProperty", data("node_id", 2, "new_value", `1`), graph.InvalidCommand},
		{"set what is undeclared", "UpdateProperty", data("node_id", 2, "property_id", `"colour"`, "new_value", `1`), graph.CommandFailed},
		{"set what does not fit", "UpdateProperty", data("node_id", 2, "property_id", `"status"`, "new_value", `"Maybe"`), graph.CommandFailed},
		{"set on an orphan", "UpdateProperty", data("node_id", 8, "property_id", `"name"`, "new_value", `"x"`), graph.CommandFailed},
		{"set on a type that is gone", "UpdateProperty", data("node_id", 9, "property_id", `"name"`, "new_value", `"x"`), graph.CommandFailed},
		{"set of an orphaned property", "UpdateProperty", data("node_id", 4, "property_id", `"height"`, "new_value", `1`), graph.CommandFailed},
		{"rename to a number", "UpdateProperty", data("node_id", 4, "property_id", `"name"`, "new_value", `1`), graph.CommandFailed},
		{"rename to nothing", "UpdateProperty", data("node_id", 4, "property_id", `"name"`, "new_value", `null`), graph.CommandFailed},
		{"rename to a long name", "UpdateProperty", data("node_id", 2, "property_id", `"title"`, "new_value", long), graph.InvalidCommand},
		{"rename with NUL", "UpdateProperty", data("node_id", 4, "property_id", `"name"`, "new_value", `"\u0000"`), graph.InvalidCommand},
		{"set of too much", "UpdateProperty", data("node_id", 2, "property_id", `"width"`, "new_value", strconv.Quote(strings.Repeat("1", graph.MaxValue))), graph.TooLarge},

		{"move of an unknown node", "MoveNode", data("node_id", 30, "new_parent_id", 1), graph.NodeNotFound},
		{"move to an unknown node", "MoveNode", data("node_id", 2, "new_parent_id", 30), graph.NodeNotFound},
		{"move to nowhere", "MoveNode", data("node_id", 2, "new_parent_id", `null`), graph.InvalidCommand},
		{"move into itself", "MoveNode", data("node_id", 5, "new_parent_id", 5), graph.MoveInvalid},
		{"move below itself", "MoveNode", data("node_id", 5, "new_parent_id", 6), graph.MoveInvalid},
		{"move where the type may not be", "MoveNode", data("node_id", 4, "new_parent_id", 1), graph.MoveInvalid},
		{"move under an orphan", "MoveNode", data("node_id", 4, "new_parent_id", 8), graph.MoveInvalid},
		{"move to a negative place", "MoveNode", data("node_id", 4, "new_parent_id", 3, "index", `-1`), graph.MoveInvalid},

		{"reorder of an unknown node", "ReorderNode", data("node_id", 30, "new_index", `0`), graph.NodeNotFound},
		{"reorder of a root", "ReorderNode", data("node_id", 1, "new_index", `0`), graph.ReorderInvalid},
		{"reorder to nowhere", "ReorderNode", data("node_id", 2), graph.ReorderInvalid},
		{"reorder to a negative place", "ReorderNode", data("node_id", 2, "new_index", `-1`), graph.ReorderInvalid},
		{"reorder to half a place", "ReorderNode", data("node_id", 2, "new_index", `0.5`), graph.ReorderInvalid},

		{"kit onto an unknown node", "ApplyKit", data("target_id", 30, "kit_root_id", 5), graph.NodeNotFound},
		{"kit that is unknown", "ApplyKit", data("target_id", 3, "kit_root_id", 30), graph.NodeNotFound},
		{"kit onto itself", "ApplyKit", data("target_id", 6, "kit_root_id", 5), graph.CommandFailed},
		{"kit where its types may not be", "ApplyKit", data("target_id", 4, "kit_root_id", 5), graph.CommandFailed},

		{"deletion on an unknown node", "DeleteProperty", data("node_id", 30, "property_id", `"width"`), graph.NodeNotFound},
		{"deletion of what is not set", "DeleteProperty", data("node_id", 2, "property_id", `"width"`), graph.CommandFailed},
		{"deletion of what is undeclared", "DeleteOrphanedProperty", data("node_id", 4, "property_key", `"depth"`), graph.CommandFailed},
		{"deletion of a name", "DeleteProperty", data("node_id", 4, "property_id", `"name"`), graph.CommandFailed},
		{"deletion on an orphan", "DeleteProperty", data("node_id", 8, "property_id", `"size"`), graph.CommandFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := withOrphans(t)
			before := graph.Hash(g)

			_, err := decide(t, g, test.commandType, test.data)

			var r *graph.Rejection
			if !errors.As(err, &r) || r.Reason != test.want || r.Error() == "" {
				t.Errorf("refused with %v, want %s", err, test.want)
			}
			if graph.Hash(g) != before {
				t.Error("the refusal changed the graph")
			}
		})
	}
}

// withOrphans is home with an orphaned node 8, and a node 9 whose type the template lost without a mark.
func withOrphans(t *testing.T) *graph.Graph {
	t.Helper()
	nodes := slices.Collect(home(t).All())
	nodes = append(
		nodes,
		&graph.Node{
			ID: id(8), Type: "moat", Name: "moat", Order: "b00",
			Properties: map[string]json.RawMessage{"size": json.RawMessage(`1`)},
			Metadata:   map[string]json.RawMessage{graph.MetaOrphaned: json.RawMessage(`true`)},
		},
		&graph.Node{ID: id(9), Type: "moat", Name: "moat", Order: "b01"},
	)
	g := graph.New()
	if err := g.Load(slices.Values(nodes)); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestARefusalNamesWhatItIsAbout(t *testing.T) {
	t.Parallel()

	_, err := decide(t, home(t), "DeleteNode", data("node_id", 30))

	var r *graph.Rejection
	if !errors.As(err, &r) || r.Details["node_id"] != id(30).String() {
		t.Errorf("got %#v, want the id in the details", err)
	}
}

func TestWithoutASchemaEverythingIsAllowed(t *testing.T) {
	t.Parallel()
	g := withOrphans(t)
	for _, c := range []graph.Command{
		graph.CreateNode{ID: id(20), Type: "anything", Parent: id(8), Properties: map[string]json.RawMessage{
			"name": json.RawMessage(`"Anna"`), "deep": json.RawMessage(`{"a":[1]}`), "none": json.RawMessage(`null`),
		}},
		graph.UpdateProperty{Node: id(8), Property: "any key", Value: json.RawMessage(`1e400`)},
		graph.MoveNode{Node: id(5), Parent: id(4)},
		graph.DeleteProperty{Node: id(8), Property: "size"},
	} {
		ch, err := c.Decide(g, nil)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		g.Apply(ch)
	}

	n, _ := g.Node(id(20))
	if n.Name != "Anna" || n.Type != "anything" || len(n.Properties) != 1 || string(n.Properties["deep"]) != `{"a":[1]}` {
		t.Errorf("created %+v", n)
	}
}
