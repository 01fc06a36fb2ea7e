package render_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/services/command/internal/render"
)

const source = `
name: Drawing
node_types:
  - id: plan
    label: Plan
    shape: hexagon
    color: "#123456"
    icon: map
    allowed_children: [step]
  - id: step
    label: Step
    allowed_children: [step]
    properties:
      - {id: name, label: Name, type: text}
      - {id: icon, label: Icon, type: text}
      - id: state
        label: State
        type: select
        indicator_set: status
        options: [{name: Open, indicator_id: empty, bullet: "○"}, {name: Done}]
`

func template(t *testing.T) *blueprint.Template {
	t.Helper()
	tpl, err := blueprint.Decode("drawing.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func id(n byte) uuid.UUID { return uuid.UUID{15: n} }

func forest(t *testing.T, nodes ...*graph.Node) *graph.Graph {
	t.Helper()
	g := graph.New()
	if err := g.Load(slices.Values(nodes)); err != nil {
		t.Fatal(err)
	}
	return g
}

// sample is a root with two children, the second of which has one.
func sample(t *testing.T, tpl *blueprint.Template) *graph.Graph {
	t.Helper()
	plan, _ := tpl.NodeType("plan")
	step, _ := tpl.NodeType("step")
	state, _ := step.Property("state")
	icon, _ := step.Property("icon")
	return forest(t,
		&graph.Node{ID: id(1), Type: plan.Ref(), Name: "a \"plan\"\n", Order: "a0"},
		&graph.Node{ID: id(2), Type: step.Ref(), Name: "second", Parent: id(1), Order: "a1", Properties: map[string]json.RawMessage{
			state.Ref(): json.RawMessage(`"Done"`), icon.Ref(): json.RawMessage(`"star"`),
		}},
		&graph.Node{ID: id(3), Type: step.Ref(), Name: "first", Parent: id(1), Order: "a0", Properties: map[string]json.RawMessage{
			state.Ref(): json.RawMessage(`"Open"`), "big": json.RawMessage(`12345678901234567890`),
		}},
		&graph.Node{ID: id(4), Type: "of another template", Name: "lost", Parent: id(2), Order: "a0",
			Metadata: map[string]json.RawMessage{"orphaned": json.RawMessage(`true`)}},
	)
}

type shown struct {
	ID              uuid.UUID                  `json:"id"`
	Type            string                     `json:"blueprint_type_id"`
	Name            string                     `json:"name"`
	Properties      map[string]json.RawMessage `json:"properties"`
	Metadata        map[string]json.RawMessage `json:"metadata"`
	Children        []shown                    `json:"children"`
	Shape           *string                    `json:"schema_shape"`
	Color           *string                    `json:"schema_color"`
	Indicator       map[string]string          `json:"indicator"`
	IndicatorID     *string                    `json:"indicator_id"`
	IndicatorSet    *string                    `json:"indicator_set"`
	Icon            *string                    `json:"icon_id"`
	AllowedChildren []string                   `json:"allowed_children"`
}

func decoded(t *testing.T, body []byte) []shown {
	t.Helper()
	var g struct{ Roots []shown }
	if err := json.Unmarshal(body, &g); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return g.Roots
}

func TestANodeCarriesWhatClientsNeedToDrawIt(t *testing.T) {
	t.Parallel()
	tpl := template(t)
	step, _ := tpl.NodeType("step")

	roots := decoded(t, render.Graph(nil, sample(t, tpl), tpl))

	plan := roots[0]
	if len(roots) != 1 || plan.Name != "a \"plan\"\n" || *plan.Shape != "hexagon" || *plan.Color != "#123456" || *plan.Icon != "map" ||
		!slices.Equal(plan.AllowedChildren, []string{step.Ref()}) || plan.Indicator != nil || plan.IndicatorID != nil {
		t.Errorf("root: %+v", plan)
	}
	first, second := plan.Children[0], plan.Children[1]
	if first.Name != "first" || first.Indicator["bullet"] != "○" || *first.IndicatorID != "empty" || *first.IndicatorSet != "status" ||
		first.Icon != nil || string(first.Properties["big"]) != "12345678901234567890" {
		t.Errorf("first child: %+v", first)
	}
	if second.Name != "second" || second.Indicator["bullet"] != "•" || *second.IndicatorID != "Done" || *second.Icon != "star" {
		t.Errorf("second child: %+v", second)
	}
}

func TestANodeOfAnUnknownTypeIsShownWithoutHints(t *testing.T) {
	t.Parallel()
	tpl := template(t)

	lost := decoded(t, render.Graph(nil, sample(t, tpl), tpl))[0].Children[1].Children[0]

	if lost.Name != "lost" || lost.Icon != nil || lost.IndicatorID != nil || lost.AllowedChildren == nil || len(lost.AllowedChildren) != 0 ||
		string(lost.Metadata["orphaned"]) != "true" || lost.Children == nil {
		t.Errorf("got %+v", lost)
	}
}

func TestWithoutATemplateTheGraphIsShownPlain(t *testing.T) {
	t.Parallel()

	roots := decoded(t, render.Graph(nil, sample(t, template(t)), nil))

	if len(roots) != 1 || len(roots[0].Children) != 2 || roots[0].Shape != nil || roots[0].Icon != nil {
		t.Errorf("got %+v", roots)
	}
}

func TestAnEmptyGraphHasNoRoots(t *testing.T) {
	t.Parallel()

	if got := string(render.Graph(nil, graph.New(), nil)); got != `{"roots":[]}` {
		t.Errorf("got %s", got)
	}
}

func TestEqualGraphsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	tpl := template(t)
	want := render.Graph(nil, sample(t, tpl), tpl)

	for range 20 {
		if got := render.Graph(nil, sample(t, tpl), tpl); !bytes.Equal(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestAChainOfManyNodesIsWrittenWithoutADeepStack(t *testing.T) {
	t.Parallel()
	const depth = 200_000
	nodes := make([]*graph.Node, depth)
	var parent uuid.UUID
	for i := range nodes {
		own := uuid.UUID{0: 1, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
		nodes[i] = &graph.Node{ID: own, Type: "t", Name: "n", Parent: parent, Order: "a0"}
		parent = own
	}

	body := render.Graph(nil, forest(t, nodes...), nil)

	if opened, closed := bytes.Count(body, []byte(`"children":[`)), bytes.Count(body, []byte(`]}`)); opened != depth || closed != depth+1 {
		t.Errorf("%d lists of children opened, %d closed", opened, closed)
	}
}

func TestTreeShowsANodeWithWhatIsBelowIt(t *testing.T) {
	t.Parallel()
	tpl := template(t)
	g := sample(t, tpl)
	n, _ := g.Node(id(2))

	var got shown
	err := json.Unmarshal(render.Tree(nil, g, n, tpl), &got)

	if err != nil || got.ID != id(2) || len(got.Children) != 1 || got.Children[0].ID != id(4) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestOneNodeIsShownWithItsParentAndTheIdsOfItsChildren(t *testing.T) {
	t.Parallel()
	tpl := template(t)
	g := sample(t, tpl)
	for number, want := range map[byte]string{
		1: `"blueprint_type_name":"Plan","name":"a \"plan\"\n","properties":{},"metadata":{},"parent_id":null,"children":["` +
			id(3).String() + `","` + id(2).String() + `"],"version":7}`,
		4: `"blueprint_type_name":null,"name":"lost","properties":{},"metadata":{"orphaned":true},"parent_id":"` +
			id(2).String() + `","children":[],"version":7}`,
	} {
		n, _ := g.Node(id(number))

		if got := string(render.Node(nil, g, n, tpl, 7)); !strings.HasSuffix(got, want) || !json.Valid([]byte(got)) {
			t.Errorf("got %s\nwant …%s", got, want)
		}
	}
}

func BenchmarkGraph(b *testing.B) {
	for _, size := range []int{10, 1_000, 100_000} {
		nodes, orders := make([]*graph.Node, size), graph.OrderKeys(size)
		for i := range nodes {
			own := uuid.UUID{0: 1, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
			nodes[i] = &graph.Node{ID: own, Type: "t", Name: "a node with a name", Order: orders[i],
				Properties: map[string]json.RawMessage{"a": json.RawMessage(`"value"`), "b": json.RawMessage(`17`)}}
		}
		g := graph.New()
		if err := g.Load(slices.Values(nodes)); err != nil {
			b.Fatal(err)
		}
		b.Run("nodes="+strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			var body []byte
			for b.Loop() {
				body = render.Graph(body[:0], g, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/node")
		})
	}
}
