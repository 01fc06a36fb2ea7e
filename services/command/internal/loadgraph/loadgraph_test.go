package loadgraph_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/services/command/internal/loadgraph"
)

// parse reads a body that must be loadable.
func parse(t *testing.T, body string) *loadgraph.Document {
	t.Helper()
	doc, err := loadgraph.Parse([]byte(body), loadgraph.Limits{})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}

	return doc
}

// build loads a body without a template.
func build(t *testing.T, body string) []*graph.Node {
	t.Helper()
	nodes, _, err := parse(t, body).Build(nil)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}

	return nodes
}

// outline writes a forest as names in nested parentheses, and checks that a graph accepts it.
func outline(t *testing.T, nodes []*graph.Node) string {
	t.Helper()
	g := graph.New()
	if err := g.Load(slices.Values(nodes)); err != nil {
		t.Fatalf("Load: %v", err)
	}
	var below func(list []*graph.Node) string
	below = func(list []*graph.Node) string {
		texts := make([]string, 0, len(list))
		for _, n := range list {
			text := n.Name
			if children := slices.Collect(g.Children(n.ID)); len(children) > 0 {
				text += "(" + below(children) + ")"
			}
			texts = append(texts, text)
		}

		return strings.Join(texts, " ")
	}

	return below(slices.Collect(g.Roots()))
}

// named finds the node of that name.
func named(t *testing.T, nodes []*graph.Node, name string) *graph.Node {
	t.Helper()
	for _, n := range nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("there is no node %q", name)

	return nil
}

// dns is the id that the original program gave to a text.
func dns(text string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(text)) }

func TestEveryFormOfAGraphIsTheSameForest(t *testing.T) {
	t.Parallel()
	const want = "a(b(d) c) e"
	for form, body := range map[string]string{
		"children":            `{"graph":{"nodes":[{"id":"a","name":"a","children":["b","c"]},{"id":"c","name":"c"},{"id":"b","name":"b","children":["d"]},{"id":"d","name":"d"},{"id":"e","name":"e"}]}}`,
		"child_ids":           `{"graph":{"nodes":[{"id":"a","name":"a","child_ids":["b","c"]},{"id":"c","name":"c"},{"id":"b","name":"b","child_ids":["d"]},{"id":"d","name":"d"},{"id":"e","name":"e"}]}}`,
		"childIds":            `{"graph":{"nodes":[{"id":"a","name":"a","childIds":["b","c"]},{"id":"c","name":"c"},{"id":"b","name":"b","childIds":["d"]},{"id":"d","name":"d"},{"id":"e","name":"e"}]}}`,
		"parent_id":           `{"graph":{"nodes":[{"id":"a","name":"a","parent_id":null},{"id":"d","name":"d","parent_id":"b"},{"id":"b","name":"b","parent_id":"a"},{"id":"c","name":"c","parent_id":"a"},{"id":"e","name":"e","parent_id":""}]}}`,
		"parentId":            `{"graph":{"nodes":[{"id":"a","name":"a"},{"id":"d","name":"d","parentId":"b"},{"id":"b","name":"b","parentId":"a"},{"id":"c","name":"c","parentId":"a"},{"id":"e","name":"e"}]}}`,
		"edges source":        `{"graph":{"edges":[{"source":"a","target":"b"},{"source":"b","target":"d"},{"source":"a","target":"c"}],"nodes":[{"id":"a","name":"a"},{"id":"c","name":"c"},{"id":"b","name":"b"},{"id":"d","name":"d"},{"id":"e","name":"e"}]}}`,
		"edges parent_id":     `{"graph":{"nodes":[{"id":"a","name":"a"},{"id":"c","name":"c"},{"id":"b","name":"b"},{"id":"d","name":"d"},{"id":"e","name":"e"}],"edges":[{"parent_id":"a","child_id":"b"},{"parent_id":"b","child_id":"d"},{"parent_id":"a","child_id":"c"}]}}`,
		"edges parent":        `{"graph":{"nodes":[{"id":"a","name":"a"},{"id":"c","name":"c"},{"id":"b","name":"b"},{"id":"d","name":"d"},{"id":"e","name":"e"}],"edges":[{"parent":"a","child":"b"},{"parent":"b","child":"d"},{"parent":"a","child":"c"}]}}`,
		"all of them at once": `{"graph":{"nodes":[{"id":"a","name":"a","children":["b","c","b"]},{"id":"c","name":"c","parent_id":"a"},{"id":"b","name":"b","parentId":"a","child_ids":["d"]},{"id":"d","name":"d"},{"id":"e","name":"e"}],"edges":[{"source":"a","target":"c"},{"source":"a","target":"c"}]}}`,
		"nested":              `{"graph":{"roots":[{"id":"a","name":"a","children":[{"id":"b","name":"b","children":[{"id":"d","name":"d","children":[]}]},{"children":null,"name":"c","id":"c"}]},{"id":"e","name":"e"}]}}`,
		"nested, numbers":     `{"graph":{"roots":[{"id":1,"name":"a","children":[{"id":2,"name":"b","children":[{"id":4,"name":"d"}]},{"name":"c","id":3}]},{"id":-5,"name":"e"}]}}`,
		"with odd space":      " {\n\"graph\" :\t{ \"roots\" : [ { \"id\" : \"a\" , \"name\" : \"a\" , \"children\" : [ { \"id\" : \"b\" , \"name\" : \"b\", \"children\" : [ { \"id\" : \"d\" , \"name\" : \"d\" } ] } , { \"id\" : \"c\" , \"name\" : \"c\" } ] } , { \"id\" : \"e\" , \"name\" : \"e\" } ] } } ",
		"nodes before roots":  `{"graph":{"roots":["a"],"nodes":[{"id":"a","name":"a","children":["b","c"]},{"id":"c","name":"c"},{"id":"b","name":"b","children":["d"]},{"id":"d","name":"d"},{"id":"e","name":"e"}]}}`,
	} {
		if got := outline(t, build(t, body)); got != want {
			t.Errorf("%s: got %s, want %s", form, got, want)
		}
	}
}

func TestAnEmptyGraphIsAGraph(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"graph":{"nodes":[]}}`, `{"graph":{"roots":[]}}`, `{"graph":{"nodes":null,"roots":[ ],"edges":null}}`} {
		if nodes := build(t, body); len(nodes) != 0 {
			t.Errorf("%s gives %d nodes", body, len(nodes))
		}
	}
}

func TestIDsAreMappedConsistently(t *testing.T) {
	t.Parallel()
	const given = "0192F0C0-7E1B-7CCC-8D1A-000000000001"
	doc := parse(t, `{"graph":{"nodes":[{"id":"example.org","name":"text"},{"id":"`+given+`","name":"uuid"},{"id":7,"name":"number"},{"id":"caf\u00e9","name":"escaped"}]},
	"blocking_relationships":[{"blockedNodeId":"example.org","blockingNodeId":"`+strings.ToLower(given)+`","note":1},{"blockedNodeId":"café","blockingNodeId":"7"}]}`)
	nodes, _, err := doc.Build(nil)
	if err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string]uuid.UUID{
		"text": dns("example.org"), "uuid": uuid.MustParse(given), "number": dns("7"), "escaped": dns("café"),
	} {
		if got := named(t, nodes, name).ID; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := loadgraph.MapID("example.org").String(); got != "aad03681-8b63-5304-89e0-8ca8f49461b5" {
		t.Errorf("example.org became %s", got) // as Python's uuid.uuid5(uuid.NAMESPACE_DNS, …)
	}
	if want := []loadgraph.Blocking{{Blocked: dns("example.org"), Blocking: uuid.MustParse(given)}, {Blocked: dns("café"), Blocking: dns("7")}}; !slices.Equal(doc.Blocking, want) {
		t.Errorf("blocking: %v", doc.Blocking)
	}
}

func TestTheBodySaysWhatProjectItIs(t *testing.T) {
	t.Parallel()
	doc := parse(t, `{"template_id":"plan","template_version":1.5,"project_id":"p1","graph":{"nodes":[]},"more":{"x":[1]}}`)
	bare := parse(t, `{"template_id":null,"graph":{"nodes":[]},"blocking_relationships":null}`)

	if doc.TemplateID != "plan" || doc.TemplateVersion != "1.5" || doc.ProjectID != dns("p1") || doc.Len() != 0 {
		t.Errorf("got %+v", doc)
	}
	if bare.TemplateID != "" || bare.ProjectID != uuid.Nil || bare.Blocking != nil {
		t.Errorf("got %+v", bare)
	}
}

func TestTypeAndNameAreFoundUnderTheirOtherNames(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		`"type":"t","blueprint_type_id":"u","blueprintType":"v"`:                              "t Unnamed",
		`"blueprint_type_id":"u","blueprintType":"v"`:                                         "u Unnamed",
		`"blueprintType":"v","type":null`:                                                     "v Unnamed",
		`"name":"n","properties":{"name":"p"},"label":"l"`:                                    " n",
		`"name":"","properties":{"name":"p\n"},"label":"l"`:                                   " p\n",
		`"properties":{"name":5},"label":"l"`:                                                 " l",
		`"data":{"nodeData":{"properties":{"name":"d"},"x":1},"y":2}`:                         " d",
		`"data":{"nodeData":{"properties":{"name":"d"}}},"properties":{"name":"p"}`:           " p",
		`"data":{"nodeData":7}`:                                                               " Unnamed",
		`"data":"text","label":"\u0041\"b"`:                                                   " A\"b",
		`"id":"second","name":"first","name":"last","properties":{"a":1},"properties":null`:   " last",
		`"typ\u0065":"escaped key","na\u006de":"too"`:                                         "escaped key too",
		`"position":{"x":1.5,"y":[{}]},"selected":true,"name":"the rest is passed over ]}\\"`: " the rest is passed over ]}\\",
	} {
		n := build(t, `{"graph":{"nodes":[{"id":"x",`+fields+`}]}}`)[0]
		if got := n.Type + " " + n.Name; got != want {
			t.Errorf("%s: got %q, want %q", fields, got, want)
		}
	}
}

func TestValuesKeepTheirText(t *testing.T) {
	t.Parallel()
	body := []byte(`{"graph":{"nodes":[{"id":"x","properties":{
		"big":9007199254740993, "long":1.10000000000000000001, "exp":1E400, "text":"a \u0041 b","escaped":"\ud83d\ude00 \"",
		"list": [1, {"a": null , "b" : "c d"} ], "none":null, "twice":1, "twice":2, "gone":1, "gone":null, "b":true },
		"metadata":{"pos": {"x" : 1}, "orphaned":false}}]}}`)
	doc, err := loadgraph.Parse(body, loadgraph.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	nodes, _, err := doc.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(body) // Nothing of the body may be left in the nodes.

	got := map[string]string{}
	for k, v := range nodes[0].Properties {
		got[k] = string(v)
	}
	want := map[string]string{
		"big": "9007199254740993", "long": "1.10000000000000000001", "exp": "1E400", "text": `"a \u0041 b"`,
		"escaped": `"\ud83d\ude00 \""`, "list": `[1,{"a":null,"b":"c d"}]`, "twice": "2", "b": "true",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if meta := nodes[0].Metadata; string(meta["pos"]) != `{"x":1}` || string(meta["orphaned"]) != "false" || len(meta) != 2 {
		t.Errorf("metadata: %v", meta)
	}
}

// template is one of those that come with the program.
func template(t testing.TB, id string) *blueprint.Template {
	t.Helper()
	lib, err := blueprint.Embedded(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := lib.Template(id)
	if err != nil {
		t.Fatal(err)
	}

	return tpl
}

func TestANodeIsBroughtIntoTheTermsOfTheTemplate(t *testing.T) {
	t.Parallel()
	nodes, info, err := parse(t, `{"template_id":"software-project","graph":{"nodes":[
		{"id":"t","type":"task","name":"old","properties":{"name":"Write it","assigned_to":"ann","branch":"main","colour":"red"}},
		{"id":"s","type":"story","name":"A story","properties":{"release":["r 1","",5,"0192F0C0-7E1B-7CCC-8D1A-000000000001"],"assigned_to":""}},
		{"id":"ann","type":"person","name":"Ann"},
		{"id":"odd","type":"spaceship","name":"Odd","properties":{"warp":9,"assigned_to":"ann"}}]}}`).Build(template(t, "software-project"))
	if err != nil {
		t.Fatal(err)
	}

	task := named(t, nodes, "Write it")
	want := map[string]string{
		prop("task", "name"): `"Write it"`, prop("task", "branch"): `"main"`,
		prop("task", "assigned_to"): `"` + dns("ann").String() + `"`,
		prop("task", "status"):      `"` + blueprint.OptionID("task", "status", "To Do").String() + `"`,
	}
	if got := texts(task.Properties); !maps.Equal(got, want) || task.Type != blueprint.TypeID("task").String() {
		t.Errorf("task %s: got  %v\nwant %v", task.Type, got, want)
	}
	if got := string(task.Metadata[graph.MetaOrphanedProperties]); got != `{"colour":"red"}` {
		t.Errorf("orphaned properties: %s", got)
	}
	story := named(t, nodes, "A story")
	if got, want := string(story.Properties[prop("story", "release")]), fmt.Sprintf(`["%s","",5,"0192f0c0-7e1b-7ccc-8d1a-000000000001"]`, dns("r 1")); got != want {
		t.Errorf("references: got %s, want %s", got, want)
	}
	if got := string(story.Properties[prop("story", "assigned_to")]); got != `""` {
		t.Errorf("an empty reference became %s", got)
	}
	if got := string(named(t, nodes, "Ann").Properties[prop("person", "name")]); got != `"Ann"` {
		t.Errorf("the name property is %s", got)
	}
	odd := named(t, nodes, "Odd")
	if !odd.Orphaned() || odd.Type != "spaceship" || string(odd.Properties["warp"]) != "9" {
		t.Errorf("got %+v", odd)
	}
	if info.Nodes != 1 || info.Properties != 1 {
		t.Errorf("orphan info %+v", info)
	}
}

func prop(typ, id string) string { return blueprint.PropertyID(typ, id).String() }

func texts(values map[string]json.RawMessage) map[string]string {
	out := make(map[string]string, len(values))
	for k, v := range values {
		out[k] = string(v)
	}

	return out
}

func TestWhatWasReadBackIsTheSameAgain(t *testing.T) {
	t.Parallel()
	tpl := template(t, "software-project")
	first, _, err := parse(t, `{"graph":{"nodes":[{"id":"t","type":"task","name":"T","properties":{"branch":"b","colour":"red"}},{"id":"odd","type":"spaceship","name":"Odd"}]}}`).Build(tpl)
	if err != nil {
		t.Fatal(err)
	}
	var nested []string
	for _, n := range first {
		properties, errP := json.Marshal(n.Properties)
		metadata, errM := json.Marshal(n.Metadata)
		if errP != nil || errM != nil {
			t.Fatal(errP, errM)
		}
		nested = append(nested, fmt.Sprintf(`{"id":%q,"blueprint_type_id":%q,"name":%q,"properties":%s,"metadata":%s,"children":[]}`, n.ID, n.Type, n.Name, properties, metadata))
	}

	again, _, err := parse(t, `{"graph":{"roots":[`+strings.Join(nested, ",")+`]}}`).Build(tpl)
	if err != nil {
		t.Fatal(err)
	}

	for i, n := range again {
		if n.ID != first[i].ID || n.Type != first[i].Type || n.Name != first[i].Name || n.Order != first[i].Order ||
			!maps.Equal(texts(n.Properties), texts(first[i].Properties)) || !maps.Equal(texts(n.Metadata), texts(first[i].Metadata)) {
			t.Errorf("got  %+v\nwant %+v", n, first[i])
		}
	}
}
