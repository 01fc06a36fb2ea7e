package blueprint_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/blueprint"
)

const rulesTemplate = `
name: Plan
node_types:
  - id: root
    label: Root
    allowed_children: [step]
    properties:
      - {id: title, label: Title, type: text, semantic_role: name}
      - {id: name, label: Name, type: text}
  - id: step
    label: Step
    properties:
      - {id: title, label: Title, type: text, semantic_role: name}
      - {id: state, label: State, type: select, options: [{name: Now, id: 33333333-3333-4333-8333-333333333333}, Later, "3"]}
      - {id: amount, label: Amount, type: number}
      - {id: price, label: Price, type: currency}
      - {id: done, label: Done, type: checkbox}
      - {id: due, label: Due, type: date}
      - {id: note, label: Note, type: textarea}
      - {id: who, label: Who, type: node_reference}
`

func TestTypesAndPropertiesAreFoundByIDAndKey(t *testing.T) {
	t.Parallel()
	tpl := decode(t, rulesTemplate)
	root, step := blueprint.TypeID("root").String(), blueprint.TypeID("step").String()

	for _, ref := range []string{"step", step} {
		if rule, ok := tpl.Type(ref); !ok || rule.ID != step || rule.NameProperty != blueprint.PropertyID("step", "title").String() {
			t.Errorf("%s: %+v, %v", ref, rule, ok)
		}
		if id, ok := tpl.Property(ref, "amount"); !ok || id != blueprint.PropertyID("step", "amount").String() {
			t.Errorf("%s: %s, %v", ref, id, ok)
		}
	}
	if rule, _ := tpl.Type("root"); rule.NameProperty != blueprint.PropertyID("root", "name").String() {
		t.Errorf("the name property of root is %s", rule.NameProperty)
	}
	if _, ok := tpl.Type("leaf"); ok {
		t.Error("there is no leaf")
	}
	if _, ok := tpl.Property("step", "colour"); ok {
		t.Error("a step has no colour")
	}
	if _, ok := tpl.Property("leaf", "name"); ok {
		t.Error("there is no leaf")
	}
	if !tpl.Allows(root, step) || tpl.Allows(step, root) || tpl.Allows("leaf", step) || tpl.Allows(root, "leaf") {
		t.Error("only a step may stand under the root")
	}
	if got := nodeType(t, tpl, "step").NodeReferences(); len(got) != 1 || got[0] != blueprint.PropertyID("step", "who").String() {
		t.Errorf("references: %v", got)
	}
}

func TestAValueMustFitItsType(t *testing.T) {
	t.Parallel()
	tpl := decode(t, rulesTemplate)
	for id, c := range map[string]struct{ good, bad []string }{
		"state": {
			[]string{`"Now"`, `"33333333-3333-4333-8333-333333333333"`, `"Later"`, `"3"`, `"\u004cater"`},
			[]string{`"Never"`, `""`, `3`, `true`, `["Now"]`},
		},
		"amount": {
			[]string{"0", "-1.5", "1e400", `"12"`, `" -1.5e3 "`, "9007199254740993"},
			[]string{`""`, `"x"`, `"1,5"`, `"Infinity"`, `"NaN"`, `"0x10"`, "true", "{}", "[1]", `"true"`, `"[1]"`},
		},
		"price": {[]string{"10", `"10.50"`}, []string{`"10 EUR"`, "false"}},
		"done":  {[]string{"true", "false"}, []string{`"true"`, "1", "0", "{}"}},
		"due": {
			[]string{`"2026-03-31"`, `"2026-03-31T10:00:00Z"`, `"2026-03-31T10:00:00.5+02:00"`, `"2026-03-31T10:00:00"`, `"2026-03-31T10:00"`},
			[]string{`"31.3.2026"`, `"2026-02-30"`, `"2026-13-01"`, `""`, "20260331", "true"},
		},
		"note":  {[]string{`"x"`, "1", "{}", "[]"}, nil},
		"who":   {[]string{`"x"`, `["x"]`}, nil},
		"title": {[]string{`"x"`}, nil},
	} {
		for _, value := range c.good {
			got, err := tpl.Value("step", id, json.RawMessage(value))
			if err != nil || string(got) != value {
				t.Errorf("%s = %s: %s, %v", id, value, got, err)
			}
		}
		for _, value := range c.bad {
			if _, err := tpl.Value("step", id, json.RawMessage(value)); err == nil {
				t.Errorf("%s = %s was accepted", id, value)
			}
		}
	}
}

func TestARefusedValueSaysWhatWouldFit(t *testing.T) {
	t.Parallel()
	many := make([]string, 20)
	for i := range many {
		many[i] = "o" + strings.Repeat("x", i)
	}
	tpl := decode(t, strings.Replace(rulesTemplate, `Later, "3"`, strings.Join(many, ", "), 1))
	for ref, want := range map[[2]string]string{
		{"step", "due"}:    "Due: must be a date like 2026-03-31",
		{"step", "amount"}: "Amount: must be a number",
		{"step", "done"}:   "Done: must be true or false",
		{"step", "state"}:  `State: must be one of "Now", "o", "ox", `,
		{"step", "colour"}: `Step has no property "colour"`,
		{"leaf", "due"}:    `there is no node type "leaf"`,
	} {
		_, err := tpl.Value(ref[0], ref[1], json.RawMessage(`"?"`))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: got %v", ref, err)
		}
	}
	if _, err := tpl.Value("step", "state", json.RawMessage(`"?"`)); !strings.HasSuffix(err.Error(), `"oxxxxxxxx", …`) {
		t.Errorf("the list is not cut: %v", err)
	}
}
