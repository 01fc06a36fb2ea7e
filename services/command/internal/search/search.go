// Package search finds nodes of a graph by text, as people look for them: regardless of case, in names and in all
// properties that are text.
//
// It walks the graph in the order in which it is shown, so that equal graphs give equal answers, and stops at the
// limit. It keeps no index: a search costs time in proportion to the graph.
package search

import (
	"encoding/json"
	"strings"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
)

// separator stands between the names of a breadcrumb.
const separator = " > "

// maxCrumbs bounds a breadcrumb; what lies above is shown as an ellipsis.
const maxCrumbs = 64

// Query says what to look for.
type Query struct {
	Text  string // a part of a name or of a text property; empty finds every node
	Type  string // stored id or key of a node type; empty: any
	Limit int    // hits at most
}

// Hit is a node that was found.
type Hit struct {
	Node       *graph.Node
	Breadcrumb string // the names from the root to the node, "Project > Phase > Task"
}

// Find returns the nodes of g that match q, depth first in the order of the graph. The template, which may be nil,
// tells which stored id a type's key stands for.
func Find(g *graph.Graph, t *blueprint.Template, q Query) []Hit {
	f := finder{text: strings.ToLower(q.Text), kind: q.Type}
	if t != nil && q.Type != "" {
		if nt, ok := t.NodeType(q.Type); ok {
			f.kind = nt.Ref()
		}
	}
	var hits []Hit
	stack := push(nil, g, graph.NodeID{})
	for len(stack) > 0 && len(hits) < q.Limit {
		n := stack[len(stack)-1]
		stack = push(stack[:len(stack)-1], g, n.ID)
		if f.matches(n) {
			hits = append(hits, Hit{Node: n, Breadcrumb: breadcrumb(g, n)})
		}
	}
	return hits
}

// push puts the children of a node on the stack, the first one on top; those of the zero id are the roots.
func push(stack []*graph.Node, g *graph.Graph, id graph.NodeID) []*graph.Node {
	from := len(stack)
	children := g.Roots()
	if id != (graph.NodeID{}) {
		children = g.Children(id)
	}
	for child := range children {
		stack = append(stack, child)
	}
	for i, j := from, len(stack)-1; i < j; i, j = i+1, j-1 {
		stack[i], stack[j] = stack[j], stack[i]
	}
	return stack
}

type finder struct{ text, kind string }

func (f finder) matches(n *graph.Node) bool {
	if f.kind != "" && n.Type != f.kind {
		return false
	}
	if strings.Contains(strings.ToLower(n.Name), f.text) {
		return true
	}
	for _, value := range n.Properties {
		var s string
		if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil && strings.Contains(strings.ToLower(s), f.text) {
			return true
		}
	}
	return false
}

func breadcrumb(g *graph.Graph, n *graph.Node) string {
	var names []string
	for ok := true; ok; n, ok = g.Node(n.Parent) {
		if len(names) == maxCrumbs {
			names = append(names, "…")
			break
		}
		names = append(names, n.Name)
	}
	var b strings.Builder
	for i := len(names) - 1; i >= 0; i-- {
		b.WriteString(names[i])
		if i > 0 {
			b.WriteString(separator)
		}
	}
	return b.String()
}
