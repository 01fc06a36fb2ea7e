package graph_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/graph"
)

func item(commandType, ref, data string) graph.Item {
	return graph.Item{Type: commandType, Ref: ref, Data: json.RawMessage(data)}
}

func TestLaterCommandsOfABatchSpeakOfEarlierNodesByTheirRef(t *testing.T) {
	t.Parallel()
	g := home(t)

	b, err := graph.ParseBatch([]graph.Item{
		item("CreateNode", "bath", data("blueprint_type_id", `"room"`, "parent_id", 1)),
		item("CreateNode", "", data("blueprint_type_id", `"thing"`, "parent_id", `"bath"`, "ref", `"tub"`)),
		item("UpdateProperty", "", data("node_id", `"tub"`, "property_id", `"name"`, "new_value", `"tub"`)),
		item("MoveNode", "", data("node_id", `"tub"`, "new_parent_id", 2, "index", `0`)),
	}, kitSeed())
	if err != nil {
		t.Fatal(err)
	}
	ch, err := b.Decide(g, houseRules{})
	if err != nil {
		t.Fatal(err)
	}
	g.Apply(ch)

	made := b.Created()
	tub, ok := g.Node(made[1])
	if !ok || tub.Name != "tub" || tub.Parent != id(2) || g.IndexOf(tub.ID) != 0 {
		t.Errorf("the tub is %+v", tub)
	}
	if made[0] != ch.Created() || made[2] != uuid.Nil || made[3] != uuid.Nil {
		t.Errorf("made %v, the change says %v", made, ch.Created())
	}
}

func TestAStepThatIsRefusedRefusesTheBatchAndIsNamed(t *testing.T) {
	t.Parallel()
	g := home(t)
	before := graph.Hash(g)
	b, err := graph.ParseBatch([]graph.Item{
		item("DeleteNode", "", data("node_id", 2)),
		item("DeleteNode", "", data("node_id", 4)), // went with its parent
	}, kitSeed())
	if err != nil {
		t.Fatal(err)
	}

	_, err = b.Decide(g, houseRules{})

	var r *graph.Rejection
	if !errors.As(err, &r) || r.Reason != graph.NodeNotFound || r.Details["command"] != "1" || r.Details["node_id"] != id(4).String() {
		t.Errorf("refused with %#v", err)
	}
	if graph.Hash(g) != before {
		t.Error("half of the batch was carried out")
	}
}

func TestABatchIsRefusedWhenItCannotBeRead(t *testing.T) {
	t.Parallel()
	room := data("blueprint_type_id", `"room"`)
	for _, test := range []struct {
		name  string
		items []graph.Item
		want  graph.Reason
	}{
		{"empty", nil, graph.InvalidCommand},
		{"long", make([]graph.Item, graph.MaxBatch+1), graph.TooLarge},
		{"bad step", []graph.Item{item("CreateNode", "", `7`)}, graph.InvalidCommand},
		{"unknown ref", []graph.Item{item("DeleteNode", "", data("node_id", `"a"`))}, graph.InvalidCommand},
		{"ref of a later step", []graph.Item{item("DeleteNode", "", data("node_id", `"a"`)), item("CreateNode", "a", room)}, graph.InvalidCommand},
		{"ref twice", []graph.Item{item("CreateNode", "a", room), item("CreateNode", "a", room)}, graph.InvalidCommand},
		{"ref that is a UUID", []graph.Item{item("CreateNode", id(9).String(), room)}, graph.InvalidCommand},
		{"ref that is no text", []graph.Item{item("CreateNode", "", data("blueprint_type_id", `"room"`, "ref", `1`))}, graph.InvalidCommand},
		{"ref of what is not created", []graph.Item{item("DeleteNode", "a", data("node_id", 2))}, graph.InvalidCommand},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			_, err := graph.ParseBatch(test.items, kitSeed())

			var r *graph.Rejection
			if !errors.As(err, &r) || r.Reason != test.want {
				t.Errorf("refused with %v, want %s", err, test.want)
			}
		})
	}
}

func TestWhatABatchCreatesAndDeletesIsNotWritten(t *testing.T) {
	t.Parallel()
	g := home(t)
	b, err := graph.ParseBatch([]graph.Item{
		item("CreateNode", "a", data("blueprint_type_id", `"room"`, "parent_id", 1)),
		item("MoveNode", "", data("node_id", 4, "new_parent_id", 3)),
		item("UpdateProperty", "", data("node_id", 4, "property_id", `"name"`, "new_value", `"torch"`)),
		item("DeleteNode", "", data("node_id", `"a"`)),
	}, kitSeed())
	if err != nil {
		t.Fatal(err)
	}

	ch, err := b.Decide(g, houseRules{})
	if err != nil {
		t.Fatal(err)
	}

	writes := map[graph.NodeID]*graph.Node{}
	for node, after := range ch.Writes() {
		writes[node] = after
	}
	if n := writes[id(4)]; len(writes) != 1 || n == nil || n.Name != "torch" || n.Parent != id(3) {
		t.Errorf("writes %v, want the lamp's last state alone", writes)
	}
}

func TestIdsAreDerivedFromTheSeed(t *testing.T) {
	t.Parallel()
	create := func(seed graph.NodeID) graph.NodeID {
		c, err := graph.ParseCommand("CreateNode", json.RawMessage(`{"blueprint_type_id":"room"}`), seed)
		if err != nil {
			t.Fatal(err)
		}
		return c.(graph.CreateNode).ID
	}

	if create(id(1)) != create(id(1)) {
		t.Error("one seed made two ids")
	}
	if create(id(1)) == create(id(2)) {
		t.Error("two seeds made one id")
	}
	unordered := uuid.MustParse("6a4c2f10-1234-4abc-8def-0123456789ab")
	if v := create(unordered).Version(); v != 5 {
		t.Errorf("from a seed without a time the id has version %d, want 5", v)
	}
	ordered := uuid.MustParse("0190a000-0000-7000-8000-0000000000c1")
	if got := create(ordered); got.Version() != 7 || [6]byte(got[:6]) != [6]byte(ordered[:6]) {
		t.Errorf("%s does not carry the time of %s", got, ordered)
	}
}
