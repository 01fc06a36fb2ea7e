package graph_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/graph"
)

func TestWhatIsNoForestDoesNotLoad(t *testing.T) {
	t.Parallel()
	node := func(n, parent int, order string) *graph.Node {
		child := &graph.Node{ID: id(n), Type: "item", Order: order}
		if parent > 0 {
			child.Parent = id(parent)
		}
		return child
	}
	for _, test := range []struct {
		name  string
		nodes []*graph.Node
	}{
		{"a node twice", []*graph.Node{node(1, 0, "a0"), node(1, 0, "a1")}},
		{"a parent that is not there", []*graph.Node{node(1, 0, "a0"), node(2, 3, "a0")}},
		{"a circle", []*graph.Node{node(1, 0, "a0"), node(2, 3, "a0"), node(3, 2, "a0")}},
		{"the zero id", []*graph.Node{{Order: "a0"}}},
		{"one key twice", []*graph.Node{node(1, 0, "a0"), node(2, 0, "a0")}},
		{"no key", []*graph.Node{node(1, 0, "")}},
		{"a long key", []*graph.Node{node(1, 0, "a0"+strings.Repeat("V", 63))}},
		{"a key without its digits", []*graph.Node{node(1, 0, "b0")}},
		{"a key of other letters", []*graph.Node{node(1, 0, "a_")}},
		{"a key that begins otherwise", []*graph.Node{node(1, 0, "0a")}},
		{"a key that ends in zero", []*graph.Node{node(1, 0, "a00")}},
		{"the lowest key", []*graph.Node{node(1, 0, "A"+strings.Repeat("0", 26))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := home(t)
			before := graph.Hash(g)

			if err := g.Load(slices.Values(test.nodes)); !errors.Is(err, graph.ErrBroken) {
				t.Errorf("got %v, want ErrBroken", err)
			}
			if graph.Hash(g) != before || g.Len() != 7 {
				t.Error("the graph is not what it was")
			}
		})
	}
}

func TestADraftLeavesItsGraphAlone(t *testing.T) {
	t.Parallel()
	g := wide(t, 1000)
	before := graph.Hash(g)

	d := g.Draft()
	apply(t, d, graph.DeleteNode{Node: id(1500)})
	apply(t, d, graph.ReorderNode{Node: id(1999), Index: 0})
	apply(t, d, graph.CreateNode{ID: id(2), Type: "item", Parent: id(1001), Index: 3})
	dd := d.Draft()
	apply(t, dd, graph.DeleteNode{Node: id(1)})

	if graph.Hash(g) != before || g.Check() != nil || g.Len() != 1001 {
		t.Error("the graph is not what it was")
	}
	if err := d.Check(); err != nil || d.Len() != 1001 || d.IndexOf(id(1999)) != 0 || d.IndexOf(id(1500)) != -1 || d.ChildCount(id(1001)) != 1 {
		t.Errorf("the draft has %d nodes: %v", d.Len(), err)
	}
	if err := dd.Check(); err != nil || dd.Len() != 0 {
		t.Errorf("the draft of the draft has %d nodes: %v", dd.Len(), err)
	}
}
