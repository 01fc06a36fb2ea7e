package blueprint_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
)

// decode reads a template that must be valid.
func decode(t *testing.T, text string) *blueprint.Template {
	t.Helper()
	tpl, err := blueprint.Decode("plan.yaml", []byte(text))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}

	return tpl
}

// types is a template with these node types, in flow style.
func types(list ...string) string {
	return "name: Plan\nnode_types:\n  - " + strings.Join(list, "\n  - ") + "\n"
}

// nodeType finds a type that must exist.
func nodeType(t *testing.T, tpl *blueprint.Template, key string) *blueprint.NodeType {
	t.Helper()
	nt, ok := tpl.NodeType(key)
	if !ok {
		t.Fatalf("there is no type %q", key)
	}

	return nt
}

// property finds a property that must exist.
func property(t *testing.T, nt *blueprint.NodeType, ref string) *blueprint.Property {
	t.Helper()
	p, ok := nt.Property(ref)
	if !ok {
		t.Fatalf("%s has no property %q", nt.Key, ref)
	}

	return p
}

func TestDerivedIDsAreThoseOfExistingProjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got  uuid.UUID
		want string
	}{
		{blueprint.TypeID("zone"), "cc65418c-8a95-95bd-9678-66d0832f6c95"},
		{blueprint.PropertyID("step", "amount"), "0ddab237-4592-9a7a-5151-24d6610eae7f"},
		{blueprint.OptionID("step", "status", "Waiting"), "c281e604-f7a3-e96b-91f5-95e180393e24"},
		{blueprint.TypeID("project_root"), "292b9e11-45c7-94f4-20db-7f6085266a4f"},
	} {
		if c.got.String() != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestIDsThatTheFileStatesAreKept(t *testing.T) {
	t.Parallel()
	tpl := decode(t, types(`{id: step, uuid: 11111111-1111-4111-8111-11111111111A, label: Step, properties: [
      {id: state, uuid: 22222222-2222-4222-8222-222222222222, label: State, type: select,
       options: [{name: Now, id: 33333333-3333-4333-8333-333333333333}, Later]}]}`))

	step := nodeType(t, tpl, "11111111-1111-4111-8111-11111111111a")
	state := property(t, step, "22222222-2222-4222-8222-222222222222")

	if now := state.Options[0].ID; now != "33333333-3333-4333-8333-333333333333" {
		t.Errorf("the stated option id became %s", now)
	}
	if later := state.Options[1].ID; later != blueprint.OptionID("step", "state", "Later").String() {
		t.Errorf("the derived option id is %s", later)
	}
}

func TestEmbeddedTemplatesAreValid(t *testing.T) {
	t.Parallel()
	lib, err := blueprint.Embedded(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}

	var ids []string
	for _, tpl := range lib.Templates() {
		ids = append(ids, tpl.ID)
		if tpl.Name == "" || tpl.Description == "" {
			t.Errorf("%s says nothing about itself", tpl.ID)
		}
	}

	if got := strings.Join(ids, " "); got != "generic-tree restoration-project software-project" {
		t.Errorf("embedded templates: %s", got)
	}
}

func TestTheSampleTemplatesUseWhatTheyShallShow(t *testing.T) {
	t.Parallel()
	lib, err := blueprint.Embedded(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := lib.Template("software-project")
	if err != nil {
		t.Fatal(err)
	}

	person := nodeType(t, tpl, "person")
	task := nodeType(t, tpl, "task")

	if got := len(person.Properties); got != 3+24 {
		t.Errorf("a person has %d properties", got)
	}
	if p := property(t, task, "assigned_to"); p.TargetType != "person" || p.UIGroup != "Schedule" {
		t.Errorf("assigned_to is %+v", p)
	}
	if task.PrimaryStatus != property(t, task, "status").ID {
		t.Error("the task's primary status is not its scheduling status")
	}
	if !tpl.Allows("story", "task") || tpl.Allows("task", "story") {
		t.Error("tasks belong under stories, not the other way round")
	}
}

func TestALibraryLeavesOutWhatDoesNotParseButKnowsWhy(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	lib, err := blueprint.Load(fstest.MapFS{
		"good.yaml":     {Data: []byte(types("{id: a, label: A}"))},
		"good.yml":      {Data: []byte(types("{id: b, label: B}"))},
		"short.yml":     {Data: []byte(types("{id: c, label: C}"))},
		"broken.yaml":   {Data: []byte("name: [")},
		"readme.md":     {Data: []byte("no template")},
		".hidden.yaml":  {Data: []byte("name: [")},
		"more/sub.yaml": {Data: []byte("name: [")},
	}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}

	var ids []string
	for _, tpl := range lib.Templates() {
		ids = append(ids, tpl.ID)
	}
	_, brokenErr := lib.Template("broken")
	_, unknownErr := lib.Template("nowhere")

	if got := strings.Join(ids, " "); got != "good short" {
		t.Errorf("templates: %s", got)
	}
	var invalid *blueprint.ValidationError
	if !errors.As(brokenErr, &invalid) || invalid.File != "broken.yaml" || len(invalid.Problems) != 1 {
		t.Errorf("the broken file gives %v", brokenErr)
	}
	if !errors.Is(unknownErr, blueprint.ErrNotFound) {
		t.Errorf("an unknown id gives %v", unknownErr)
	}
	if good, err := lib.Template("good"); err != nil || good.NodeTypes[0].Key != "a" {
		t.Errorf("of two files with one stem the first counts, got %v, %v", good, err)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}

func TestADirectoryThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := blueprint.Load(fstest.MapFS{".": {Data: []byte("a file")}}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error")
	}
}

func TestTheSchemaAnswerHasTheShapeThatClientsKnow(t *testing.T) {
	t.Parallel()
	tpl := decode(t, `
name: Plan
description: How it goes
unheard_of: {kept: false}
blocking_view: {node_size: {base: 10, ratio: 1.5}, on: true, off: ~, list: [a, 2]}
node_types:
  - id: root
    name: Root
    allowed_children: [step, cc65418c-8a95-95bd-9678-66d0832f6c95, step]
    properties:
      - {id: name, label: Name, type: text, required: true}
  - id: step
    label: Step
    icon: cog
    base_type: asset
    features: [is_thing]
    allowed_asset_types: [tool]
    primary_status_property_id: status
    properties:
      - {id: status, label: Status, type: select, indicator_set: s, ui_group: G, options: [{name: Waiting, indicator_id: w}, Done]}
      - {id: text, label: Text, type: editor, markup_profile: m, markup_tokens: [x]}
  - {id: zone, label: Zone}
`)

	var got, want map[string]json.RawMessage
	if err := json.Unmarshal(tpl.AppendSchema(nil), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{
  "id": "plan", "name": "Plan", "description": "How it goes",
  "blocking_view": {"node_size":{"base":10,"ratio":1.5},"on":true,"off":null,"list":["a",2]},
  "node_types": [{"id":"`+blueprint.TypeID("root").String()+`","uuid":"`+blueprint.TypeID("root").String()+`","key":"root","name":"Root","allowed_children":["`+blueprint.TypeID("step").String()+`","cc65418c-8a95-95bd-9678-66d0832f6c95"],"allowed_asset_types":[],"icon":null,"base_type":null,"features":[],"properties":[{"id":"`+blueprint.PropertyID("root", "name").String()+`","key":"name","name":"Name","type":"text","required":true,"indicator_set":null,"options":null,"markup_profile":null,"markup_tokens":null,"ui_group":null}]},{"id":"`+blueprint.TypeID("step").String()+`","uuid":"`+blueprint.TypeID("step").String()+`","key":"step","name":"Step","allowed_children":[],"allowed_asset_types":["tool"],"icon":"cog","base_type":"asset","features":["is_thing"],"properties":[{"id":"`+blueprint.PropertyID("step", "status").String()+`","key":"status","name":"Status","type":"select","required":false,"indicator_set":"s","options":[{"id":"c281e604-f7a3-e96b-91f5-95e180393e24","name":"Waiting","indicator_id":"w"},{"id":"`+blueprint.OptionID("step", "status", "Done").String()+`","name":"Done","indicator_id":null}],"markup_profile":null,"markup_tokens":null,"ui_group":"G"},{"id":"`+blueprint.PropertyID("step", "text").String()+`","key":"text","name":"Text","type":"editor","required":false,"indicator_set":null,"options":null,"markup_profile":"m","markup_tokens":["x"],"ui_group":null}],"primary_status_property_id":"`+blueprint.PropertyID("step", "status").String()+`"},{"id":"cc65418c-8a95-95bd-9678-66d0832f6c95","uuid":"cc65418c-8a95-95bd-9678-66d0832f6c95","key":"zone","name":"Zone","allowed_children":[],"allowed_asset_types":[],"icon":null,"base_type":null,"features":[],"properties":[]}]
}`), &want); err != nil {
		t.Fatal(err)
	}

	if len(got) != len(want) {
		t.Errorf("fields: %s", tpl.AppendSchema(nil))
	}
	for field := range want {
		if string(got[field]) != string(want[field]) {
			t.Errorf("%s is\n%s, want\n%s", field, got[field], want[field])
		}
	}
}

func TestATemplateKeepsItsDescriptionOfItself(t *testing.T) {
	t.Parallel()
	tpl := decode(t, "uuid: abc\nversion: 1.0\ndescription: |\n  two\n  lines\n"+types("{id: a, label: A, shape: circle, color: '#fff'}"))

	if tpl.ID != "plan" || tpl.UUID != "abc" || tpl.Version != "1.0" || tpl.Description != "two\nlines\n" {
		t.Errorf("got %+v", tpl)
	}
	if a := nodeType(t, tpl, "a"); a.Shape != "circle" || a.Color != "#fff" || a.Ref() != a.ID.String() {
		t.Errorf("got %+v", a)
	}
}

// The template must satisfy what the graph asks of it.
var _ graph.Schema = (*blueprint.Template)(nil)
