package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/talus-tally/talus/pkg/graph"
)

// forest returns a graph of about n nodes: a root, under it a tenth of the nodes, under each of these nine more.
func forest(b *testing.B, n int) *graph.Graph {
	b.Helper()
	tens := max(1, n/10)
	nodes := []*graph.Node{{ID: id(1), Type: house, Order: "a0"}}
	leaves := graph.OrderKeys(9)
	for i, key := range graph.OrderKeys(tens) {
		parent := id(10 * (i + 1))
		nodes = append(nodes, &graph.Node{ID: parent, Type: room, Name: "room", Parent: id(1), Order: key, Properties: map[string]json.RawMessage{
			title: json.RawMessage(`"room"`), status: json.RawMessage(`"` + open + `"`), width: json.RawMessage(`4`),
		}})
		for j, key := range leaves {
			nodes = append(nodes, &graph.Node{ID: id(10*(i+1) + j + 1), Type: thing, Name: "thing", Parent: parent, Order: key})
		}
	}
	g := graph.New()
	if err := g.Load(slices.Values(nodes)); err != nil {
		b.Fatal(err)
	}
	return g
}

var sizes = [...]int{10, 1_000, 100_000}

// BenchmarkDecide asks whether the cost of a command depends on the size of the graph: read the request, decide, write
// the events, apply and take back.
func BenchmarkDecide(b *testing.B) {
	for _, verb := range []struct{ name, commandType, data string }{
		{"update", "UpdateProperty", data("node_id", 10, "property_id", `"width"`, "new_value", `5`)},
		{"create", "CreateNode", data("blueprint_type_id", `"room"`, "parent_id", 1, "name", `"hall"`)},
		{"insert", "CreateNode", data("blueprint_type_id", `"room"`, "parent_id", 1, "index", `0`)},
		{"move", "MoveNode", data("node_id", 12, "new_parent_id", 10, "index", `5`)},
		{"delete", "DeleteNode", data("node_id", 10)},
	} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/nodes=%d", verb.name, n), func(b *testing.B) {
				g, buf := forest(b, n), []byte(nil)
				b.ReportAllocs()
				for b.Loop() {
					c, err := graph.ParseCommand(verb.commandType, json.RawMessage(verb.data), kitSeed())
					if err != nil {
						b.Fatal(err)
					}
					ch, err := c.Decide(g, houseRules{})
					if err != nil {
						b.Fatal(err)
					}
					for _, e := range g.Apply(ch) {
						buf = e.AppendFields(buf[:0])
					}
					g.Apply(ch.Inverse())
				}
			})
		}
	}
}

// BenchmarkInsert asks what a place in the middle costs among very many siblings.
func BenchmarkInsert(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("siblings=%d", n), func(b *testing.B) {
			g := wide(b, n)
			b.ReportAllocs()
			for b.Loop() {
				ch, err := graph.CreateNode{ID: id(1_500_000), Type: "item", Parent: id(1), Index: n / 2}.Decide(g, nil)
				if err != nil {
					b.Fatal(err)
				}
				g.Apply(ch)
				g.Apply(ch.Inverse())
			}
		})
	}
}

// BenchmarkEvents asks what it costs to know the events of a command before it is committed.
func BenchmarkEvents(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			g := forest(b, n)
			ch, err := graph.MoveNode{Node: id(12), Parent: id(10), Index: 5}.Decide(g, houseRules{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Events(ch)
			}
		})
	}
}

// BenchmarkBatch asks what a draft costs in a graph with very many siblings: 100 nodes in one batch.
func BenchmarkBatch(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			g := forest(b, n)
			var batch graph.Batch
			for i := range 100 {
				batch.Commands = append(batch.Commands, graph.CreateNode{ID: id(2_000_000 + i), Type: room, Parent: id(1), Index: 3})
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := batch.Decide(g, houseRules{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoad asks how fast a stored graph becomes one in memory.
func BenchmarkLoad(b *testing.B) {
	type stored struct {
		id    graph.NodeID
		image []byte
	}
	var images []stored
	for n := range forest(b, 100_000).All() {
		images = append(images, stored{n.ID, graph.AppendImage(nil, n)})
	}
	b.ReportAllocs()
	for b.Loop() {
		g := graph.New()
		err := g.Load(func(yield func(*graph.Node) bool) {
			for _, s := range images {
				n, err := graph.ParseImage(s.id, s.image)
				if err != nil {
					b.Fatal(err)
				}
				if !yield(n) {
					return
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(images)), "ns/node")
}
