package blueprint_test

import (
	"encoding/json"
	"testing"

	"github.com/talus-tally/talus/pkg/blueprint"
)

const hintsTemplate = `
name: Plan
node_types:
  - id: step
    label: Step
    properties:
      - {id: plain, label: P, type: select, options: [a, b]}
      - {id: mood, label: M, type: select, indicator_set: moods, options: [{name: Good, indicator_id: sun, bullet: "*"}, Bad]}
      - {id: state, label: S, type: select, indicator_set: states, options: [{name: Open, id: o-1}, Closed]}
      - {id: icon_id, label: I, type: text}
  - {id: cog, label: Cog, icon: cog, properties: [{id: icon, label: I, type: text}]}
`

func TestTheIndicatorIsThatOfTheFirstPropertyWithAMatchingOption(t *testing.T) {
	t.Parallel()
	step := nodeType(t, decode(t, hintsTemplate), "step")
	for name, c := range map[string]struct {
		values map[string]string
		want   blueprint.Indicator
	}{
		"by name":           {map[string]string{"mood": `"Good"`, "state": `"Open"`}, blueprint.Indicator{Set: "moods", ID: "sun", Bullet: "*"}},
		"without mark":      {map[string]string{"mood": `"Bad"`}, blueprint.Indicator{Set: "moods", ID: "Bad", Bullet: "•"}},
		"no match":          {map[string]string{"mood": `"Angry"`, "state": `"Closed"`}, blueprint.Indicator{Set: "states", ID: "Closed", Bullet: "•"}},
		"no text":           {map[string]string{"mood": `5`, "state": `"Closed"`}, blueprint.Indicator{Set: "states", ID: "Closed", Bullet: "•"}},
		"by id":             {map[string]string{"state": `"o-1"`}, blueprint.Indicator{Set: "states", ID: "Open", Bullet: "•"}},
		"by derived id":     {map[string]string{"mood": `"` + blueprint.OptionID("step", "mood", "Good").String() + `"`}, blueprint.Indicator{Set: "moods", ID: "sun", Bullet: "*"}},
		"no indicator set":  {map[string]string{"plain": `"a"`}, blueprint.Indicator{}},
		"nothing":           {nil, blueprint.Indicator{}},
		"damaged text":      {map[string]string{"mood": `"\x"`}, blueprint.Indicator{}},
		"escaped but equal": {map[string]string{"mood": `"\u0042ad"`}, blueprint.Indicator{Set: "moods", ID: "Bad", Bullet: "•"}},
	} {
		got, ok := step.IndicatorOf(values(step, c.values))
		if got != c.want || ok != (c.want != blueprint.Indicator{}) {
			t.Errorf("%s: got %+v, %v", name, got, ok)
		}
	}
}

// values gives property values under their ids.
func values(nt *blueprint.NodeType, byKey map[string]string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for key, value := range byKey {
		if p, ok := nt.Property(key); ok {
			key = p.Ref()
		}
		out[key] = json.RawMessage(value)
	}

	return out
}

func TestTheIconIsTheTypesElseTheNodes(t *testing.T) {
	t.Parallel()
	tpl := decode(t, hintsTemplate)
	step, cog := nodeType(t, tpl, "step"), nodeType(t, tpl, "cog")

	for want, got := range map[string]string{
		"cog":   cog.IconOf(values(cog, map[string]string{"icon": `"other"`})),
		"mine":  step.IconOf(values(step, map[string]string{"icon_id": `"mine"`})),
		"loose": step.IconOf(values(step, map[string]string{"icon": `"loose"`, "icon_id": `"mine"`})),
		"":      step.IconOf(values(step, map[string]string{"icon": `" "`, "icon_id": `7`})),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
