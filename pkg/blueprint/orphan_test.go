package blueprint_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
)

const orphanTemplate = `
name: Plan
node_types:
  - id: step
    label: Step
    features: [scheduling]
    properties:
      - {id: name, label: Name, type: text}
      - {id: status, label: Status, type: text}
      - {id: size, label: Size, type: select, options: [S, M]}
  - id: bare
    label: Bare
`

// raw makes values of JSON texts.
func raw(texts map[string]string) map[string]json.RawMessage {
	if texts == nil {
		return nil
	}
	out := map[string]json.RawMessage{}
	for k, v := range texts {
		out[k] = json.RawMessage(v)
	}

	return out
}

// equal compares values with JSON texts.
func equal(got map[string]json.RawMessage, want map[string]string) bool {
	return maps.EqualFunc(got, want, func(a json.RawMessage, b string) bool { return string(a) == b })
}

func TestAdoptingBringsANodeIntoTheTermsOfTheTemplate(t *testing.T) {
	t.Parallel()
	tpl := decode(t, orphanTemplate)
	name, status := blueprint.PropertyID("step", "name").String(), blueprint.PropertyID("step", "status").String()
	added, size := blueprint.PropertyID("step", "_feat_scheduling_status").String(), blueprint.PropertyID("step", "size").String()
	initial := `"` + blueprint.OptionID("step", "_feat_scheduling_status", "To Do").String() + `"`
	small := `"` + blueprint.OptionID("step", "size", "S").String() + `"`
	stepID, bareID := blueprint.TypeID("step").String(), blueprint.TypeID("bare").String()
	reason := `"` + blueprint.ReasonUnknownType + `"`

	for what, c := range map[string]struct {
		typ, name        string
		props, meta      map[string]string
		wantType         string
		wantName         string
		wantProps, wantM map[string]string
		info             blueprint.OrphanInfo
	}{
		"keys become ids, selects get their default": {
			typ: "step", name: "N", props: map[string]string{"status": `"x"`, size: `"M"`},
			wantType: stepID, wantName: "N",
			wantProps: map[string]string{name: `"N"`, status: `"x"`, added: initial, size: `"M"`},
		},
		"the name comes from the name property": {
			typ: stepID, name: "N", props: map[string]string{name: `"P"`, "name": `"Q"`},
			wantType: stepID, wantName: "P",
			wantProps: map[string]string{name: `"P"`, added: initial, size: small},
		},
		"an empty name property takes the name": {
			typ: "step", name: "N", props: map[string]string{"name": `""`},
			wantType: stepID, wantName: "N",
			wantProps: map[string]string{name: `"N"`, added: initial, size: small},
		},
		"a name among the properties of a type without one is dropped": {
			typ: "bare", name: "N", props: map[string]string{"name": `"N"`},
			wantType: bareID, wantName: "N", wantProps: map[string]string{},
		},
		"what is not declared is kept aside": {
			typ: "bare", name: "N", props: map[string]string{"b": "2", "a": "[1]"}, meta: map[string]string{"pos": "{}"},
			wantType: bareID, wantName: "N", wantProps: map[string]string{},
			wantM: map[string]string{"pos": "{}", "orphaned_properties": `{"a":[1],"b":2}`},
			info:  blueprint.OrphanInfo{Properties: 2},
		},
		"what is declared again comes back": {
			typ: "step", name: "N", props: map[string]string{"size": `"M"`},
			meta:     map[string]string{"orphaned_properties": `{"status":"old","size":"S","gone":1,"start_date":null}`},
			wantType: stepID, wantName: "N",
			wantProps: map[string]string{name: `"N"`, status: `"old"`, added: initial, size: `"M"`},
			wantM:     map[string]string{"orphaned_properties": `{"gone":1}`},
			info:      blueprint.OrphanInfo{Properties: 1, RestoredProperties: 1},
		},
		"a newer stranger wins over an older one": {
			typ: "bare", name: "N", props: map[string]string{"a": "2"}, meta: map[string]string{"orphaned_properties": `{"a":1}`},
			wantType: bareID, wantName: "N", wantProps: map[string]string{},
			wantM: map[string]string{"orphaned_properties": `{"a":2}`},
			info:  blueprint.OrphanInfo{Properties: 1},
		},
		"orphaned properties that cannot be read stay": {
			typ: "bare", name: "N", meta: map[string]string{"orphaned_properties": `[1]`},
			wantType: bareID, wantName: "N", wantProps: map[string]string{},
			wantM: map[string]string{"orphaned_properties": `[1]`},
		},
		"a node of an unknown type is marked and else left alone": {
			typ: "ghost", name: "N", props: map[string]string{"b": "2"},
			wantType: "ghost", wantName: "N", wantProps: map[string]string{"b": "2"},
			wantM: map[string]string{"orphaned": "true", "orphaned_reason": reason},
			info:  blueprint.OrphanInfo{Nodes: 1},
		},
		"the reason that was given first stays": {
			typ: "ghost", name: "N", meta: map[string]string{"orphaned": "true", "orphaned_reason": `"mine"`},
			wantType: "ghost", wantName: "N",
			wantM: map[string]string{"orphaned": "true", "orphaned_reason": `"mine"`},
			info:  blueprint.OrphanInfo{Nodes: 1},
		},
		"a node whose type is known again is no orphan": {
			typ: "bare", name: "N", meta: map[string]string{"orphaned": "true", "orphaned_reason": reason, "pos": "1", "orphaned_properties": "{}"},
			wantType: bareID, wantName: "N", wantProps: map[string]string{}, wantM: map[string]string{"pos": "1"},
			info: blueprint.OrphanInfo{RestoredNodes: 1},
		},
	} {
		var info blueprint.OrphanInfo
		n := &graph.Node{Type: c.typ, Name: c.name, Properties: raw(c.props), Metadata: raw(c.meta)}
		props, meta := maps.Clone(n.Properties), maps.Clone(n.Metadata)

		before := *n
		tpl.Adopt(n, &info)

		if n.Type != c.wantType || n.Name != c.wantName || !equal(n.Properties, c.wantProps) || !equal(n.Metadata, c.wantM) {
			t.Errorf("%s: got %s %q %s %s", what, n.Type, n.Name, n.Properties, n.Metadata)
		}
		if info != c.info {
			t.Errorf("%s: info %+v", what, info)
		}
		sameText := func(a, b json.RawMessage) bool { return string(a) == string(b) }
		if !maps.EqualFunc(before.Properties, props, sameText) || !maps.EqualFunc(before.Metadata, meta, sameText) {
			t.Errorf("%s: the maps that came in were written to", what)
		}
	}
}

func TestAValueUnderTheIDWinsOverTheKey(t *testing.T) {
	t.Parallel()
	tpl := decode(t, types("{id: a, label: A, properties: [{id: p-1, key: p, label: P, type: text}]}"))
	id := blueprint.PropertyID("a", "p-1").String()
	for _, c := range []struct {
		props map[string]string
		want  string
	}{
		{map[string]string{"p": `"key"`, "p-1": `"declared"`, id: `"id"`}, `"id"`},
		{map[string]string{"p": `"key"`, "p-1": `"declared"`}, `"declared"`},
		{map[string]string{"p": `"key"`}, `"key"`},
	} {
		n := &graph.Node{Type: "a", Properties: raw(c.props)}
		tpl.Adopt(n, &blueprint.OrphanInfo{})

		if !equal(n.Properties, map[string]string{id: c.want}) {
			t.Errorf("%v became %s", c.props, n.Properties)
		}
	}
}

func TestTheCountsHaveTheNamesThatClientsKnow(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(blueprint.OrphanInfo{Nodes: 1, Properties: 2, RestoredNodes: 3, RestoredProperties: 4})

	if want := `{"total_orphaned_nodes":1,"total_orphaned_properties":2,"restored_nodes":3,"restored_properties":4}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}
