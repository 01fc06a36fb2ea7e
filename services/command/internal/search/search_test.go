package search_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/services/command/internal/search"
)

func id(n int) uuid.UUID { return uuid.UUID{0: 1, 14: byte(n >> 8), 15: byte(n)} }

// house is a small tree: House > (Roof > Tiles, Cellar).
func house(t *testing.T) *graph.Graph {
	t.Helper()
	text := func(s string) map[string]json.RawMessage {
		return map[string]json.RawMessage{"note": json.RawMessage(s), "count": json.RawMessage(`42`)}
	}
	return load(t,
		&graph.Node{ID: id(1), Type: "plan", Name: "House", Order: "a0"},
		&graph.Node{ID: id(2), Type: "step", Name: "Roof", Order: "a0", Parent: id(1), Properties: text(`"made of SLATE"`)},
		&graph.Node{ID: id(3), Type: "step", Name: "Cellar", Order: "a1", Parent: id(1), Properties: text(`"gr\u00fcn"`)},
		&graph.Node{ID: id(4), Type: "part", Name: "Slate tiles", Order: "a0", Parent: id(2)},
	)
}

func load(t *testing.T, nodes ...*graph.Node) *graph.Graph {
	t.Helper()
	g := graph.New()
	if err := g.Load(slices.Values(nodes)); err != nil {
		t.Fatal(err)
	}
	return g
}

func names(hits []search.Hit) string {
	var list []string
	for _, hit := range hits {
		list = append(list, hit.Node.Name)
	}
	return strings.Join(list, ", ")
}

func TestNodesAreFoundByPartsOfNamesAndTextProperties(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ about, text, kind, want string }{
		{"name and property, in the order of the graph", "slate", "", "Roof, Slate tiles"},
		{"regardless of case", "ROOF", "", "Roof"},
		{"letters beyond ASCII, escaped in the property", "GRÜN", "", "Cellar"},
		{"only of one type", "slate", "part", "Slate tiles"},
		{"nothing of that type", "slate", "no such type", ""},
		{"a number is no text", "42", "", ""},
		{"everything of a type", "", "step", "Roof, Cellar"},
		{"nothing", "garden", "", ""},
	} {
		got := names(search.Find(house(t), nil, search.Query{Text: c.text, Type: c.kind, Limit: 10}))

		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.about, got, c.want)
		}
	}
}

func TestATypeMayBeNamedByItsKey(t *testing.T) {
	t.Parallel()
	tpl, err := blueprint.Decode("t.yaml", []byte("name: T\nnode_types:\n  - {id: step, label: Step}\n"))
	if err != nil {
		t.Fatal(err)
	}
	step, _ := tpl.NodeType("step")
	g := load(t, &graph.Node{ID: id(1), Type: step.Ref(), Name: "found", Order: "a0"})

	got := names(search.Find(g, tpl, search.Query{Type: "step", Limit: 1}))

	if got != "found" {
		t.Errorf("got %q", got)
	}
}

func TestAHitShowsTheWayToIt(t *testing.T) {
	t.Parallel()

	hits := search.Find(house(t), nil, search.Query{Text: "tiles", Limit: 1})

	if len(hits) != 1 || hits[0].Breadcrumb != "House > Roof > Slate tiles" {
		t.Errorf("got %+v", hits)
	}
}

func TestTheWayToADeepNodeIsCutShort(t *testing.T) {
	t.Parallel()
	var nodes []*graph.Node
	for i := range 500 {
		n := &graph.Node{ID: id(i + 1), Type: "t", Name: fmt.Sprint("n", i), Order: "a0"}
		if i > 0 {
			n.Parent = id(i)
		}
		nodes = append(nodes, n)
	}

	hits := search.Find(load(t, nodes...), nil, search.Query{Text: "n499", Limit: 1})

	if len(hits) != 1 || !strings.HasPrefix(hits[0].Breadcrumb, "… > n436 > ") || !strings.HasSuffix(hits[0].Breadcrumb, "> n499") {
		t.Errorf("got %+v", hits)
	}
}

func TestTheLimitBoundsTheHits(t *testing.T) {
	t.Parallel()

	if got := names(search.Find(house(t), nil, search.Query{Limit: 2})); got != "House, Roof" {
		t.Errorf("got %q", got)
	}
}
