package loadgraph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/services/command/internal/jsonbody"
	"github.com/talus-tally/talus/services/command/internal/loadgraph"
)

// refused reads a body that must not be loadable.
func refused(t *testing.T, body string, limits loadgraph.Limits) *loadgraph.Refusal {
	t.Helper()
	doc, err := loadgraph.Parse([]byte(body), limits)
	if err == nil {
		_, _, err = doc.Build(nil)
	}
	var refusal *loadgraph.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("%.80s: got %v", body, err)
	}

	return refusal
}

func TestWhatCannotBeLoadedIsRefusedWithTheNodesNamed(t *testing.T) {
	t.Parallel()
	nodes := func(list string) string { return `{"graph":{"nodes":[` + list + `]}}` }
	edges := func(list string) string {
		return `{"graph":{"nodes":[{"id":"a"},{"id":"b"},{"id":"c"}],"edges":[` + list + `]}}`
	}
	for name, c := range map[string]struct{ body, want, nodes string }{
		"a list":              {`[]`, "the body must be an object", ""},
		"no graph":            {`{"template_id":"x"}`, `field "graph" is missing`, ""},
		"graph null":          {`{"graph":null}`, `field "graph" must be an object`, ""},
		"graph empty":         {`{"graph":{}}`, `must have "nodes" or "roots"`, ""},
		"nodes no list":       {`{"graph":{"nodes":{}}}`, `field "graph.nodes" must be a list`, ""},
		"edges no list":       {`{"graph":{"nodes":[],"edges":7}}`, `field "graph.edges" must be a list`, ""},
		"template no text":    {`{"graph":{"nodes":[]},"template_id":{}}`, `field "template_id" must be text`, ""},
		"version no text":     {`{"graph":{"nodes":[]},"template_version":true}`, `field "template_version" must be text`, ""},
		"project no text":     {`{"graph":{"nodes":[]},"project_id":[]}`, `field "project_id" must be text`, ""},
		"node no object":      {nodes(`{"id":"a"},"b"`), "graph.nodes[1]: a node must be an object", ""},
		"no id":               {nodes(`{"id":"a"},{"name":"b"}`), "graph.nodes[1]: a node has no id", ""},
		"empty id":            {nodes(`{"id":""}`), "graph.nodes[0]: a node has no id", ""},
		"null id":             {nodes(`{"id":null}`), "graph.nodes[0]: a node has no id", ""},
		"id an object":        {nodes(`{"id":{}}`), `field "id" must be an id`, ""},
		"zero id":             {nodes(`{"id":"00000000-0000-0000-0000-000000000000"}`), "the zero UUID", "00000000-0000-0000-0000-000000000000"},
		"nested, no id":       {`{"graph":{"roots":[{"id":"a","children":[{"id":"b","children":[{"name":"x"}]}]}]}}`, "graph.roots[0]: children[0]: children[0]: a node has no id", "b"},
		"name a number":       {nodes(`{"id":"a","name":5}`), `field "name" must be text`, "a"},
		"type a list":         {nodes(`{"id":"a","type":[]}`), `field "type" must be text`, "a"},
		"properties a list":   {nodes(`{"id":"a","properties":[]}`), `field "properties" must be an object`, "a"},
		"metadata text":       {nodes(`{"id":"a","metadata":"x"}`), `field "metadata" must be an object`, "a"},
		"nested properties":   {nodes(`{"id":"a","data":{"nodeData":{"properties":1}}}`), `field "data.nodeData.properties" must be an object`, "a"},
		"children text":       {nodes(`{"id":"a","children":"b"}`), `field "children" must be a list`, "a"},
		"child a list":        {nodes(`{"id":"a","children":[[]]}`), `children[0]: field "children" must be an id`, "a"},
		"parent an object":    {nodes(`{"id":"a","parentId":{}}`), `field "parentId" must be an id`, "a"},
		"twice":               {nodes(`{"id":"a"},{"id":"a"}`), "an id occurs twice", "a a"},
		"twice by mapping":    {nodes(`{"id":"` + dns("a").String() + `"},{"id":"a"}`), "an id occurs twice", dns("a").String() + " a"},
		"unknown child":       {nodes(`{"id":"a","children":["b"]}`), `"a" names a child that is not there`, "b"},
		"unknown parent":      {nodes(`{"id":"a","parent_id":"b"}`), `"a" names a parent that is not there`, "b"},
		"unknown source":      {edges(`{"source":"x","target":"a"}`), "an edge names a node that is not there", "x"},
		"unknown target":      {edges(`{"source":"a","target":"x"}`), `"a" names a child that is not there`, "x"},
		"edge no object":      {edges(`"a"`), "graph.edges[0]: must be an object", ""},
		"edge without end":    {edges(`{"source":"a","target":""}`), `graph.edges[0]: must have "source" and "target"`, ""},
		"edge of objects":     {edges(`{"source":"a","target":{}}`), `graph.edges[0]: field "target" must be an id`, ""},
		"self":                {nodes(`{"id":"a","children":["a"]}`), "the links form a cycle", "a"},
		"cycle":               {nodes(`{"id":"r","children":["x"]},{"id":"x"},{"id":"a","children":["b"]},{"id":"b","children":["c"]},{"id":"c","children":["a","d"]},{"id":"d"}`), "the links form a cycle", "a c b"},
		"two parents":         {nodes(`{"id":"a","children":["c"]},{"id":"b","children":["c"]},{"id":"c"}`), "a node has two parents", "c a b"},
		"edge against nest":   {`{"graph":{"roots":[{"id":"a","children":[{"id":"b"}]},{"id":"c","children":["b"]}]}}`, "a node has two parents", "b a c"},
		"edge against child":  {edges(`{"source":"a","target":"c"},{"source":"b","target":"c"}`), "a node has two parents", "c a b"},
		"blocking no list":    {`{"graph":{"nodes":[]},"blocking_relationships":{}}`, `field "blocking_relationships" must be a list`, ""},
		"blocking no object":  {`{"graph":{"nodes":[]},"blocking_relationships":[1]}`, "blocking_relationships[0]: must be an object", ""},
		"blocking incomplete": {`{"graph":{"nodes":[]},"blocking_relationships":[{"blockedNodeId":"a"}]}`, `must have "blockedNodeId" and "blockingNodeId"`, ""},
		"blocking no id":      {`{"graph":{"nodes":[]},"blocking_relationships":[{"blockedNodeId":true}]}`, `field "blockedNodeId" must be an id`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusal := refused(t, c.body, loadgraph.Limits{})

			if !strings.Contains(refusal.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", refusal, c.want)
			}
			if got := strings.Join(refusal.Nodes, " "); got != c.nodes {
				t.Errorf("nodes %q, want %q", got, c.nodes)
			}
			for _, n := range refusal.Nodes {
				if !strings.Contains(refusal.Message, n) {
					t.Errorf("%q is not in %q", n, refusal.Message)
				}
			}
		})
	}
}

func TestBadJSONIsMalformed(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty": "", "cut": `{"graph":{"nodes":[`, "no JSON": "graph", "not UTF-8": "{\"graph\":{\"nodes\":[{\"id\":\"\xff\"}]}}",
		"NUL":    `{"graph":{"nodes":[{"id":"\u0000"}]}}`,
		"deep":   `{"graph":{"nodes":[{"id":"a","properties":{"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}}]}}`,
		"deeper": strings.Repeat(`{"a":`, 1_000_000),
	} {
		if _, err := loadgraph.Parse([]byte(body), loadgraph.Limits{}); !errors.Is(err, jsonbody.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// nest is a nested body of that many levels.
func nest(depth int) string {
	var b strings.Builder
	b.WriteString(`{"graph":{"roots":[`)
	for i := range depth {
		fmt.Fprintf(&b, `{"id":"n%d","name":"n","children":[`, i)
	}
	b.WriteString(strings.Repeat(`]}`, depth) + `]}}`)

	return b.String()
}

func TestLimitsAreKeptToTheLastOne(t *testing.T) {
	t.Parallel()
	properties := func(value string) string {
		return `{"graph":{"nodes":[{"id":"a","properties":{"x":` + value + `}}]}}`
	}
	deep := func(n int) string { return properties(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	name := func(n int) string { return `{"graph":{"nodes":[{"id":"a","name":"` + strings.Repeat("ä", n) + `"}]}}` }
	for what, c := range map[string]struct{ fits, beyond, want string }{
		"depth":       {nest(1000), nest(1001), "nodes are nested deeper than 1000 levels"},
		"value depth": {deep(64), deep(65), `properties "x" is nested deeper than 64 levels`},
		"value size":  {properties(`"` + strings.Repeat("x", 256<<10-2) + `"`), properties(`"` + strings.Repeat("x", 256<<10-1) + `"`), `properties "x" is larger than 262144 bytes`},
		"name":        {name(1000), name(1001), `a name is too long: "a"`},
	} {
		if nodes := build(t, c.fits); len(nodes) == 0 {
			t.Errorf("%s: what fits gives no nodes", what)
		}
		if refusal := refused(t, c.beyond, loadgraph.Limits{}); !strings.Contains(refusal.Message, c.want) {
			t.Errorf("%s: got %v", what, refusal)
		}
	}
	few := loadgraph.Limits{Nodes: 2}
	if refusal := refused(t, `{"graph":{"nodes":[{"id":"a"},{"id":"b"},{"id":"c"}]}}`, few); !strings.Contains(refusal.Message, "more than 2 nodes") {
		t.Errorf("nodes: got %v", refusal)
	}
	if refusal := refused(t, `{"graph":{"nodes":[{"id":"a","children":["b","b","b","b","b","b","b","b","b"]},{"id":"b"}]}}`, few); !strings.Contains(refusal.Message, "more than 8 links") {
		t.Errorf("children: got %v", refusal)
	}
	many := strings.Repeat(`{"source":"a","target":"b"},`, 8) + `{"source":"a","target":"b"}`
	if refusal := refused(t, `{"graph":{"nodes":[{"id":"a"},{"id":"b"}],"edges":[`+many+`]}}`, few); !strings.Contains(refusal.Message, "more than 8 links") {
		t.Errorf("edges: got %v", refusal)
	}
}

func TestALongListOfCulpritsIsCut(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 30 {
		list = append(list, fmt.Sprintf(`{"id":"n%d","children":["n%d"]}`, i, (i+1)%30))
	}

	refusal := refused(t, `{"graph":{"nodes":[`+strings.Join(list, ",")+`]}}`, loadgraph.Limits{})

	if len(refusal.Nodes) != 10 || !strings.HasSuffix(refusal.Message, `"n21", …`) {
		t.Errorf("got %v, %d nodes", refusal, len(refusal.Nodes))
	}
}

func TestAFlatChainMayBeLongerThanNestingIsAllowed(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var b strings.Builder
	b.WriteString(`{"graph":{"nodes":[{"id":"n0"}`)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, `,{"id":"n%d","parent_id":"n%d"}`, i, i-1)
	}
	b.WriteString(`]}}`)

	nodes := build(t, b.String())

	if err := graph.New().Load(slices.Values(nodes)); err != nil || len(nodes) != n {
		t.Errorf("%d nodes, %v", len(nodes), err)
	}
}

func FuzzABodyIsLoadedOrRefused(f *testing.F) {
	f.Add(`{"graph":{"nodes":[{"id":"a","type":"task","children":["b"],"properties":{"name":"x","assigned_to":["b"]}},{"id":"b","label":"y","parent_id":"a"}],"edges":[{"source":"a","target":"b"}]}}`)
	f.Add(`{"graph":{"roots":[{"id":1,"children":[{"id":"\u0061","metadata":{"orphaned":true,"orphaned_properties":{"k":1}}}]}]},"blocking_relationships":[{"blockedNodeId":"a","blockingNodeId":"b"}]}`)
	f.Add(" { \"graph\" : { \"roots\" : [ { \"id\" : \"a\" , \"data\" : { \"nodeData\" : { \"properties\" : { \"x\" : [ 1 , { } ] } } } } ] } } ")
	f.Add(`{"graph":{"nodes":[{"id":"a","children":["b"]},{"id":"b","children":["a"]}]}}`)
	tpl := template(f, "software-project")
	f.Fuzz(func(t *testing.T, body string) {
		doc, err := loadgraph.Parse([]byte(body), loadgraph.Limits{})
		var refusal *loadgraph.Refusal
		if err != nil {
			if !errors.As(err, &refusal) && !errors.Is(err, jsonbody.ErrMalformed) {
				t.Fatalf("another kind of error: %v", err)
			}

			return
		}
		nodes, _, err := doc.Build(tpl)
		if err != nil {
			return
		}
		if err := graph.New().Load(slices.Values(nodes)); err != nil {
			t.Fatalf("what was accepted is no graph: %v", err)
		}
		for _, n := range nodes {
			for key, value := range n.Properties {
				if !json.Valid(value) {
					t.Fatalf("%s is %q", key, value)
				}
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	var body strings.Builder
	const n = 100_000
	body.WriteString(`{"template_id":"software-project","graph":{"nodes":[{"id":"root","type":"software_project","name":"Root"}`)
	for i := range n {
		fmt.Fprintf(&body, `,{"id":"task-%d","type":"task","name":"Task %d","parent_id":"root","properties":{"name":"Task %d","branch":"feature/%d","estimated_hours":%d,"notes":"Some text that says what is to do here."},"metadata":{"position":{"x":1,"y":2}}}`, i, i, i, i, i)
	}
	body.WriteString(`]}}`)
	tpl := template(b, "software-project")
	b.ReportAllocs()
	b.SetBytes(int64(body.Len()))
	for b.Loop() {
		doc, err := loadgraph.Parse([]byte(body.String()), loadgraph.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		nodes, _, err := doc.Build(tpl)
		if err != nil || len(nodes) != n+1 {
			b.Fatal(err)
		}
	}
}
