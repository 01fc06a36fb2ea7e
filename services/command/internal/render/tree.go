package render

import (
	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

// Graph appends the whole graph in the form of answers, `{"roots":[…]}`: children nested and in order, each node with
// what clients need to draw it. Without a template (t is nil) the drawing hints are left out or null.
func Graph(dst []byte, g *graph.Graph, t *blueprint.Template) []byte {
	w := treeWriter{out: append(dst, `{"roots":`...), g: g, look: look{template: t}}
	for n := range g.Roots() {
		w.queue = append(w.queue, n)
	}
	w.out = append(w.out, '[')
	w.walk()
	return append(w.out, `]}`...)
}

// Tree appends the node with everything below it, in the form of answers.
func Tree(dst []byte, g *graph.Graph, n *graph.Node, t *blueprint.Template) []byte {
	w := treeWriter{out: dst, g: g, look: look{template: t}, queue: []*graph.Node{n}}
	w.walk()
	return w.out
}

// treeWriter walks a forest depth first with stacks of its own.
type treeWriter struct {
	out   []byte
	g     *graph.Graph
	look  look
	keys  []string
	queue []*graph.Node // siblings that are still to be written, of all open levels, the deepest last
	open  []int         // per open level: how many of the queue's nodes belong to the levels above it
}

// walk writes the nodes of the queue as one list of siblings, each with what is below it.
func (w *treeWriter) walk() {
	w.reverse(0)
	bottom, first := 0, true
	for {
		if len(w.queue) > bottom {
			n := w.queue[len(w.queue)-1]
			w.queue = w.queue[:len(w.queue)-1]
			if !first {
				w.out = append(w.out, ',')
			}
			w.begin(n)
			w.open = append(w.open, bottom)
			bottom, first = len(w.queue), true
			for child := range w.g.Children(n.ID) {
				w.queue = append(w.queue, child)
			}
			w.reverse(bottom)
			continue
		}
		if len(w.open) == 0 {
			return
		}
		w.out = append(w.out, `]}`...)
		bottom, w.open, first = w.open[len(w.open)-1], w.open[:len(w.open)-1], false
	}
}

// reverse turns the queue from index from on, so that the first sibling is taken first.
func (w *treeWriter) reverse(from int) {
	for i, j := from, len(w.queue)-1; i < j; i, j = i+1, j-1 {
		w.queue[i], w.queue[j] = w.queue[j], w.queue[i]
	}
}

// begin writes a node up to the opening of its list of children, which comes last. Its sort key is there so that a
// replica that began with this answer can place what later events name by theirs, the roots above all.
func (w *treeWriter) begin(n *graph.Node) {
	dst := append(UUID(append(w.out, `{"id":`...), n.ID), `,"blueprint_type_id":`...)
	dst = append(wire.AppendString(dst, n.Type), `,"name":`...)
	dst = append(wire.AppendString(dst, n.Name), `,"order":`...)
	dst = append(wire.AppendString(dst, n.Order), `,"properties":`...)
	dst, w.keys = members(dst, n.Properties, w.keys)
	dst = append(dst, `,"metadata":`...)
	dst, w.keys = members(dst, n.Metadata, w.keys)
	dst = append(w.look.append(dst, n), `,"children":[`...)
	w.out = dst
}
