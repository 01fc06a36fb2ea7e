package graph_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/talus-tally/talus/pkg/graph"
)

// wide returns a root with n children, whose ids are 1000 and up.
func wide(t testing.TB, n int) *graph.Graph {
	t.Helper()
	nodes := []*graph.Node{{ID: id(1), Type: "list", Order: "a0"}}
	for i, key := range graph.OrderKeys(n) {
		nodes = append(nodes, &graph.Node{ID: id(1000 + i), Type: "item", Parent: id(1), Order: key})
	}
	g := graph.New()
	if err := g.Load(slices.Values(nodes)); err != nil {
		t.Fatal(err)
	}
	return g
}

func childIDs(g *graph.Graph, parent graph.NodeID) []graph.NodeID {
	var ids []graph.NodeID
	for n := range g.Children(parent) {
		ids = append(ids, n.ID)
	}
	return ids
}

// apply decides and applies a command, and checks that the graph is still whole.
func apply(t rapidT, g *graph.Graph, c graph.Command) (graph.Change, []graph.Event) {
	t.Helper()
	ch, err := c.Decide(g, nil)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	foreseen := texts(g.Events(ch))
	events := g.Apply(ch)
	if !slices.Equal(texts(events), foreseen) {
		t.Fatalf("foreseen %v, came %v", foreseen, texts(events))
	}
	return ch, events
}

func TestSiblingsStandWhereTheyWerePut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, made := graph.New(), 1000
		apply(t, g, graph.CreateNode{ID: id(1), Type: "list"})
		var want []graph.NodeID
		place := func() int { return rapid.IntRange(0, len(want)).Draw(t, "index") }
		t.Repeat(map[string]func(*rapid.T){
			"many": func(t *rapid.T) {
				at := place()
				for range rapid.IntRange(1, 400).Draw(t, "n") {
					made++
					apply(t, g, graph.CreateNode{ID: id(made), Type: "item", Parent: id(1), Index: at})
					want = slices.Insert(want, at, id(made))
				}
			},
			"move": func(t *rapid.T) {
				if len(want) == 0 {
					return // there is nothing to move
				}
				from := rapid.IntRange(0, len(want)-1).Draw(t, "from")
				node := want[from]
				want = slices.Delete(want, from, from+1)
				at := place()
				apply(t, g, graph.ReorderNode{Node: node, Index: at})
				want = slices.Insert(want, at, node)
			},
			"delete": func(t *rapid.T) {
				from := place()
				to := min(len(want), from+rapid.IntRange(0, 300).Draw(t, "n"))
				for _, node := range want[from:to] {
					apply(t, g, graph.DeleteNode{Node: node})
				}
				want = slices.Delete(want, from, to)
			},
			"": func(t *rapid.T) {
				if err := g.Check(); err != nil {
					t.Fatal(err)
				}
				if got := childIDs(g, id(1)); !slices.Equal(got, want) || g.ChildCount(id(1)) != len(want) {
					t.Fatalf("got %v, want %v", got, want)
				}
				for i, node := range want {
					if g.IndexOf(node) != i {
						t.Fatalf("%s stands at %d, want %d", node, g.IndexOf(node), i)
					}
				}
			},
		})
	})
}

func TestInsertionsAtOnePlaceSpreadTheKeysAroundItNowAndThen(t *testing.T) {
	t.Parallel()
	g := wide(t, 1000)
	client := newReplica(g)
	want := childIDs(g, id(1))
	rekeyed := 0

	for i := range 3000 {
		at := 500 + i%2
		ch, events := apply(t, g, graph.CreateNode{ID: id(5000 + i), Type: "item", Parent: id(1), Index: at})
		want = slices.Insert(want, at, id(5000+i))
		if len(ch.Touches) > 1 {
			rekeyed++
		}
		if len(ch.Touches) > 200 {
			t.Fatalf("insertion %d touched %d nodes", i, len(ch.Touches))
		}
		if ch.Created() != id(5000+i) {
			t.Fatalf("the change says that it created %s", ch.Created())
		}
		for _, e := range events {
			if e.Name == graph.EventNodeUnlinked {
				t.Fatal("a new key was told as a move")
			}
			client.apply(e.Name, e.AppendFields(nil))
		}
	}

	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(childIDs(g, id(1)), want) {
		t.Error("the siblings do not stand where they were put")
	}
	client.mustEqual(t, g)
	if rekeyed == 0 || rekeyed > 20 {
		t.Errorf("%d of 3000 insertions spread the keys, want a few", rekeyed)
	}
}

func TestRootsGetNewKeysToo(t *testing.T) {
	t.Parallel()
	g := graph.New()
	client := newReplica(g)
	longest := 0

	for i := range 800 {
		_, events := apply(t, g, graph.CreateNode{ID: id(1000 + i), Type: "item", Index: min(i, 1)})
		for _, e := range events {
			client.apply(e.Name, e.AppendFields(nil))
		}
		n, _ := g.Node(id(1000 + i))
		longest = max(longest, len(n.Order))
	}

	client.mustEqual(t, g)
	if longest < graph.MaxOrderKey/2 {
		t.Errorf("the longest key has %d bytes: the test did not get far enough", longest)
	}
}

func TestAppendingAndPrependingKeepKeysShort(t *testing.T) {
	t.Parallel()
	g := graph.New()

	for i := range 10_000 {
		apply(t, g, graph.CreateNode{ID: id(1000 + i), Type: "item", Index: (i%2 - 1) * (1 - i%2)})
	}

	for n := range g.Roots() {
		if len(n.Order) > 4 {
			t.Fatalf("order key %q is long", n.Order)
		}
	}
	if keys := graph.OrderKeys(10_000); !slices.IsSorted(keys) || len(keys[9_999]) > 4 || len(slices.Compact(keys)) != 10_000 {
		t.Error("OrderKeys are not 10,000 short ascending keys")
	}
}

func TestACommandThatTouchesTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	g := wide(t, graph.MaxTouches)
	apply(t, g, graph.CreateNode{ID: id(2), Type: "list"})
	for _, c := range []graph.Command{
		graph.DeleteNode{Node: id(1)},
		graph.Batch{Commands: []graph.Command{
			graph.ApplyKit{Target: id(2), Kit: id(1), Seed: kitSeed()},
			graph.CreateNode{ID: id(3), Type: "list"},
		}},
	} {
		_, err := c.Decide(g, nil)

		var r *graph.Rejection
		if !errors.As(err, &r) || r.Reason != graph.TooLarge {
			t.Errorf("%T: refused with %v, want %s", c, err, graph.TooLarge)
		}
	}

	apply(t, g, graph.DeleteNode{Node: id(1000)})
	ch, _ := apply(t, g, graph.DeleteNode{Node: id(1)})
	if len(ch.Touches) != graph.MaxTouches {
		t.Errorf("touched %d nodes, want %d", len(ch.Touches), graph.MaxTouches)
	}
}

func TestThereIsRoomBesideTheOutermostKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"zzzzzzzzzzzzzzzzzzzzzzzzzzz", "A00000000000000000000000001", "A00000000000000000000000000V", "Zz", "Y00", "az", "a0V"} {
		g := graph.New()
		if err := g.Load(slices.Values([]*graph.Node{{ID: id(1), Order: key}})); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			apply(t, g, graph.CreateNode{ID: id(10 + i), Type: "item", Index: 0})
			apply(t, g, graph.CreateNode{ID: id(100 + i), Type: "item", Index: graph.End})
		}
		if err := g.Check(); err != nil {
			t.Errorf("beside %q: %v", key, err)
		}
	}
}
