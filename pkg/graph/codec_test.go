package graph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/talus-tally/talus/pkg/graph"
)

// sample has everything that a node can have.
func sample() *graph.Node {
	return &graph.Node{
		ID: id(2), Type: room, Name: "hall ☃\u2028", Parent: id(1), Order: "a0V",
		Properties: map[string]json.RawMessage{
			"big": json.RawMessage(`9007199254740993.10`), "esc": json.RawMessage(`"\u003c\ud800"`), "": json.RawMessage(`null`),
		},
		Metadata: map[string]json.RawMessage{"twice": json.RawMessage(`{"b":1,"a":2,"b":3}`)},
	}
}

func TestAnImageKeepsEveryByteOfANode(t *testing.T) {
	t.Parallel()
	image := graph.AppendImage(nil, sample())

	n, err := graph.ParseImage(id(2), image)
	if err != nil {
		t.Fatal(err)
	}

	if string(n.Properties["big"]) != "9007199254740993.10" || string(n.Properties["esc"]) != `"\u003c\ud800"` ||
		string(n.Metadata["twice"]) != `{"b":1,"a":2,"b":3}` || n.Name != sample().Name || n.Parent != id(1) {
		t.Errorf("got %+v", n)
	}
	for range 20 { // the order of a map must not show
		if !bytes.Equal(graph.AppendImage(nil, n), image) {
			t.Fatal("equal nodes have different images")
		}
	}
	clear(image)
	if n.Type != room || string(n.Properties["big"]) != "9007199254740993.10" {
		t.Error("the node shares memory with its image")
	}
}

func TestADamagedImageIsRefused(t *testing.T) {
	t.Parallel()
	image := graph.AppendImage(nil, sample())

	for i := range image {
		if _, err := graph.ParseImage(id(2), image[:i]); !errors.Is(err, graph.ErrBroken) {
			t.Errorf("cut at %d: got %v", i, err)
		}
	}
	if _, err := graph.ParseImage(id(2), append(slices.Clone(image), 0)); !errors.Is(err, graph.ErrBroken) {
		t.Errorf("with a byte too many: got %v", err)
	}
	for _, n := range []*graph.Node{
		{Name: "\xff", Order: "a0"},
		{Order: "?"},
		{Order: "a0", Properties: map[string]json.RawMessage{"a": json.RawMessage(`{`)}},
		{Order: "a0", Properties: map[string]json.RawMessage{"a": json.RawMessage("\"\xff\"")}},
	} {
		if _, err := graph.ParseImage(id(2), graph.AppendImage(nil, n)); !errors.Is(err, graph.ErrBroken) {
			t.Errorf("%+v: got %v", n, err)
		}
	}
}

func TestAStoredChangeOnlyFitsTheStateThatItStartsFrom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, commandType, data string
		meanwhile               graph.Command
	}{
		{"the created node is gone", "CreateNode", data("blueprint_type_id", `"room"`, "id", 20), graph.DeleteNode{Node: id(20)}},
		{"the created node has got a child", "CreateNode", data("blueprint_type_id", `"room"`, "id", 20), graph.MoveNode{Node: id(4), Parent: id(20)}},
		{"the deleted node is back", "DeleteNode", data("node_id", 4), graph.CreateNode{ID: id(4), Type: thing}},
		{"its parent is gone", "DeleteNode", data("node_id", 4), graph.DeleteNode{Node: id(2)}},
		{"its place is taken", "DeleteNode", data("node_id", 4), graph.CreateNode{ID: id(21), Type: thing, Parent: id(2)}},
		{"the moved node is elsewhere", "MoveNode", data("node_id", 4, "new_parent_id", 3), graph.MoveNode{Node: id(4), Parent: id(6)}},
		{"the old parent is below", "MoveNode", data("node_id", 6, "new_parent_id", 2), graph.MoveNode{Node: id(5), Parent: id(6)}},
		{"the property has another value", "UpdateProperty", data("node_id", 2, "property_id", `"width"`, "new_value", `1`), graph.UpdateProperty{Node: id(2), Property: width, Value: json.RawMessage(`2`)}},
		{"the node has another name", "UpdateProperty", data("node_id", 4, "property_id", `"name"`, "new_value", `"a"`), graph.UpdateProperty{Node: id(4), Property: "name", Value: json.RawMessage(`"b"`)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := home(t)
			ch, err := decide(t, g, test.commandType, test.data)
			if err != nil {
				t.Fatal(err)
			}
			g.Apply(ch)
			undo := graph.AppendChange(nil, ch.Inverse())
			if _, err := graph.ParseChange(g, undo); err != nil {
				t.Fatalf("it does not fit at once: %v", err)
			}

			meanwhile, err := test.meanwhile.Decide(g, nil)
			if err != nil {
				t.Fatal(err)
			}
			g.Apply(meanwhile)
			before := graph.Hash(g)

			if _, err := graph.ParseChange(g, undo); !errors.Is(err, graph.ErrBroken) {
				t.Errorf("got %v, want ErrBroken", err)
			}
			if graph.Hash(g) != before {
				t.Error("reading the change altered the graph")
			}
		})
	}
}

func TestAStoredChangeHoldsOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	g := home(t)
	apply(t, g, graph.UpdateProperty{Node: id(2), Property: "text", Value: append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 100_000)...), '"')})

	ch, _ := apply(t, g, graph.UpdateProperty{Node: id(2), Property: "width", Value: json.RawMessage(`1`)})

	if size := len(graph.AppendChange(nil, ch)); size > 200 {
		t.Errorf("the stored change has %d bytes", size)
	}
}

func TestACutStoredChangeIsRefused(t *testing.T) {
	t.Parallel()
	g := home(t)
	ch, err := decide(t, g, "UpdateProperty", data("node_id", 2, "property_id", `"name"`, "new_value", `"foyer"`))
	if err != nil {
		t.Fatal(err)
	}
	stored := graph.AppendChange(nil, ch)

	for i := range stored {
		if i == 1 { // a change without touches
			continue
		}
		if _, err := graph.ParseChange(g, stored[:i]); !errors.Is(err, graph.ErrBroken) {
			t.Errorf("cut at %d: got %v", i, err)
		}
	}
}
