package blueprint_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/blueprint"
)

func TestAWrongFileIsRefusedWithFileTypeAndField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":                 {"", "empty"},
		"not yaml":              {"a: [", "not valid YAML"},
		"not a mapping":         {"- a", "a template is a mapping"},
		"no name":               {"node_types: [{id: a, label: A}]", "field name: is required"},
		"blank name":            {"name: ' '\nnode_types: [{id: a, label: A}]", "field name: is required"},
		"no types":              {"name: P", "field node_types: must name at least one"},
		"types null":            {"name: P\nnode_types: ~", "field node_types: must name at least one"},
		"empty types":           {"name: P\nnode_types: []", "field node_types: must name at least one"},
		"types not a list":      {"name: P\nnode_types: {a: b}", "field node_types: must be a list"},
		"type not a mapping":    {types("text"), "type node_types[0]: a node type is a mapping"},
		"type without id":       {types("{label: A}"), "type node_types[0]: field id: is required"},
		"type without label":    {types("{id: a}"), "type a: field label: is required"},
		"bad type uuid":         {types("{id: a, label: A, uuid: nope}"), `type a: field uuid: "nope" is not a UUID`},
		"children not a list":   {types("{id: a, label: A, allowed_children: b}"), "type a: field allowed_children: must be a list"},
		"child not text":        {types("{id: a, label: A, allowed_children: [[b]]}"), "type a: field allowed_children[0]: must be text"},
		"unknown child":         {types("{id: a, label: A, allowed_children: [b]}"), `type a: field allowed_children: there is no node type "b"`},
		"features not a list":   {types("{id: a, label: A, features: scheduling}"), "type a: field features: must be a list"},
		"icon not text":         {types("{id: a, label: A, icon: [x]}"), "type a: field icon: must be text"},
		"properties no list":    {types("{id: a, label: A, properties: {}}"), "type a: field properties: must be a list"},
		"property no mapping":   {types("{id: a, label: A, properties: [x]}"), "a property is a mapping"},
		"property without id":   {types("{id: a, label: A, properties: [{label: P, type: text}]}"), "field properties[0].id: is required"},
		"property no label":     {types("{id: a, label: A, properties: [{id: p, type: text}]}"), "type a: field properties.p.label: is required"},
		"property without type": {types("{id: a, label: A, properties: [{id: p, label: P}]}"), "type a: field properties.p.type: is required"},
		"property twice":        {types("{id: a, label: A, properties: [{id: p, label: P, type: text}, {id: p, label: Q, type: text}]}"), `the property "p" is declared twice`},
		"bad property uuid":     {types("{id: a, label: A, properties: [{id: p, label: P, type: text, uuid: x}]}"), `field properties.p.uuid: "x" is not a UUID`},
		"required not bool":     {types("{id: a, label: A, properties: [{id: p, label: P, type: text, required: maybe}]}"), "field properties.p.required: must be true or false"},
		"select no options":     {types("{id: a, label: A, properties: [{id: p, label: P, type: select}]}"), "a select needs at least one option"},
		"select empty options":  {types("{id: a, label: A, properties: [{id: p, label: P, type: select, options: []}]}"), "a select needs at least one option"},
		"options no list":       {types("{id: a, label: A, properties: [{id: p, label: P, type: select, options: x}]}"), "field properties.p.options: must be a list"},
		"option without name":   {types("{id: a, label: A, properties: [{id: p, label: P, type: select, options: [{id: x}]}]}"), "field properties.p.options[0].name: is required"},
		"option a list":         {types("{id: a, label: A, properties: [{id: p, label: P, type: select, options: [[x]]}]}"), "an option is text or a mapping"},
		"option twice":          {types("{id: a, label: A, properties: [{id: p, label: P, type: select, options: [x, x]}]}"), `the option "x" is declared twice`},
		"type twice":            {types("{id: a, label: A}", "{id: a, label: B}"), `type a: field`},
		"type uuid twice":       {types("{id: a, label: A, uuid: 11111111-1111-4111-8111-111111111111}", "{id: b, label: B, uuid: 11111111-1111-4111-8111-111111111111}"), `type b: field uuid`},
		"property uuid twice":   {types("{id: a, label: A, properties: [{id: p, label: P, type: text, uuid: 11111111-1111-4111-8111-111111111111}, {id: q, label: Q, type: text, uuid: 11111111-1111-4111-8111-111111111111}]}"), "is already the id of another property"},
		"unknown status":        {types("{id: a, label: A, primary_status_property_id: p}"), `type a: field primary_status_property_id: the type has no property "p"`},
		"infinity":              {types("{id: a, label: A, weight: .inf}"), "is not a finite number"},
		"unknown alias":         {types("{id: a, label: *x}"), "alias"},
		"merge of nothing":      {"a: &a [1]\n<<: *a\n" + types("{label: A}"), "field id: is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpl, err := blueprint.Decode("some/dir/plan.yaml", []byte(c.text))

			var invalid *blueprint.ValidationError
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v, %v", tpl, err)
			}
			if invalid.File != "plan.yaml" || !strings.Contains(err.Error(), "template plan.yaml: ") {
				t.Errorf("the file is not named: %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAllProblemsOfAFileAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := blueprint.Decode("plan.yaml", []byte("node_types:\n  - {label: A}\n  - {id: b}\n  - {id: c}\n"))

	var invalid *blueprint.ValidationError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 4 {
		t.Fatalf("got %v", err)
	}
	if !strings.HasSuffix(err.Error(), "; and 1 more") {
		t.Errorf("the text is %q", err)
	}
	details, err := json.Marshal(invalid)
	if err != nil || !strings.Contains(string(details), `{"type":"b","field":"label","line":3,"message":"is required"}`) {
		t.Errorf("details: %s, %v", details, err)
	}
}

func TestAHostileFileIsRefusedQuickly(t *testing.T) {
	t.Parallel()
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		prev := string(rune('0' + i - 1))
		bomb += "a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.Repeat("*a"+prev+", ", 9) + "*a" + prev + "]\n"
	}
	for name, text := range map[string]string{
		"too large": "name: " + strings.Repeat("x", 1<<20),
		"too deep":  "name: " + strings.Repeat("[", 100) + strings.Repeat("]", 100),
		"bomb":      bomb + types("{id: a, label: A}"),
		"self":      "a: &a [*a]\n" + types("{id: a, label: A}"),
	} {
		if _, err := blueprint.Decode("plan.yaml", []byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnchorsMergesAndTagsAreUnderstood(t *testing.T) {
	t.Parallel()
	tpl := decode(t, `
name: Plan
base: &base {label: Base, color: red, shape: ~}
other: &other {icon: cog, color: blue}
node_types:
  - {<<: *base, id: a, color: green}
  - {<<: [*base, *other], id: b}
  - {id: !!str 7, label: Seven, properties: [{id: n, label: N, type: number, value: 0x10}]}
`)

	a, b, seven := nodeType(t, tpl, "a"), nodeType(t, tpl, "b"), nodeType(t, tpl, "7")

	if a.Name != "Base" || a.Color != "green" || b.Color != "red" || b.Icon != "cog" {
		t.Errorf("got %+v and %+v", a, b)
	}
	if got := string(property(t, seven, "n").Default); got != "16" {
		t.Errorf("the default is %s", got)
	}
}

func FuzzATemplateIsDecodedOrRefused(f *testing.F) {
	f.Add(types("{id: a, label: A, features: [scheduling, budgeting, is_person], allowed_children: [a]}"))
	f.Add("a: &x {b: 1}\nc: {<<: *x}\nname: P\nnode_types: [{id: person, label: P}]")
	f.Add("name: P\nnode_types:\n- id: a\n  label: A\n  properties:\n  - {id: s, label: S, type: select, options: [x, {name: y}], value: y}\n")
	f.Add("name: !!str 5\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 { // The YAML parser's cost grows with the square of the depth.
			return
		}
		tpl, err := blueprint.Decode("plan.yaml", []byte(text))
		var invalid *blueprint.ValidationError
		if err != nil && !errors.As(err, &invalid) {
			t.Fatalf("another kind of error: %v", err)
		}
		if err == nil && !json.Valid(tpl.AppendSchema(nil)) {
			t.Fatalf("the schema is no JSON: %s", tpl.AppendSchema(nil))
		}
	})
}
