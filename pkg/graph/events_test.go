package graph_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/graph"
)

// home is the graph of the golden tests:
//
//	1 house "home"
//	├── 2 room "hall"
//	│   └── 4 thing "lamp"
//	└── 3 room "attic"
//	5 room "kit"
//	└── 6 room "shelf"
//	    └── 7 thing "book"
func home(t testing.TB) *graph.Graph {
	t.Helper()
	roomValues := func(name string) map[string]json.RawMessage {
		return map[string]json.RawMessage{title: json.RawMessage(`"` + name + `"`), status: json.RawMessage(`"` + open + `"`)}
	}
	g := graph.New()
	err := g.Load(slices.Values([]*graph.Node{
		{ID: id(1), Type: house, Name: "home", Order: "a0"},
		{ID: id(2), Type: room, Name: "hall", Parent: id(1), Order: "a0", Properties: roomValues("hall")},
		{ID: id(3), Type: room, Name: "attic", Parent: id(1), Order: "a1", Properties: roomValues("attic")},
		{ID: id(4), Type: thing, Name: "lamp", Parent: id(2), Order: "a0", Metadata: map[string]json.RawMessage{
			graph.MetaOrphanedProperties: json.RawMessage(`{"height":7}`),
		}},
		{ID: id(5), Type: room, Name: "kit", Order: "a1", Properties: roomValues("kit")},
		{ID: id(6), Type: room, Name: "shelf", Parent: id(5), Order: "a0"},
		{ID: id(7), Type: thing, Name: "book", Parent: id(6), Order: "a0"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// decide parses and decides a command against g by the house rules.
func decide(t *testing.T, g *graph.Graph, commandType, data string) (graph.Change, error) {
	t.Helper()
	c, err := graph.ParseCommand(commandType, json.RawMessage(data), kitSeed())
	if err != nil {
		return graph.Change{}, err
	}
	return c.Decide(g, houseRules{})
}

// short writes the test's ids as #n and the ids of the house rules by name.
func short(s string) string {
	replace := []string{house, "HOUSE", room, "ROOM", thing, "THING", title, "TITLE", status, "STATUS", width, "WIDTH", done, "DONE", open, "OPEN"}
	for n := range 60 {
		replace = append(replace, id(n).String(), "#"+string(rune('0'+n/10))+string(rune('0'+n%10)))
	}
	for n := range 10 { // what ApplyKit makes of node n, as seeded by decide
		source := id(n)
		replace = append(replace, uuid.NewSHA1(kitSeed(), source[:]).String(), "#K"+string(rune('0'+n)))
	}
	return strings.NewReplacer(replace...).Replace(s)
}

func TestEveryVerbTellsItsEventsAndUndoTellsTheOpposite(t *testing.T) {
	t.Parallel()
	for _, test := range goldenVerbs() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := home(t)

			ch, err := decide(t, g, test.commandType, test.data)
			if err != nil {
				t.Fatal(err)
			}

			wantTold(t, g.Apply(ch), test.do)
			wantTold(t, g.Apply(ch.Inverse()), test.undo)
			if graph.Hash(g) != graph.Hash(home(t)) {
				t.Error("the inverse did not lead back")
			}
		})
	}
}

func wantTold(t *testing.T, events []graph.Event, want []string) {
	t.Helper()
	var got []string
	for _, e := range events {
		own := e.AppendFields(nil)
		if !json.Valid([]byte("{" + string(own) + "}")) {
			t.Errorf("not JSON: %s", own)
		}
		got = append(got, short(e.Name+" "+string(own)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// kitSeed is a command id without a time in it, so that what is derived from it is a plain UUID of version 5.
func kitSeed() uuid.UUID { return uuid.MustParse("6a4c2f10-1234-4abc-8def-0123456789ab") }
