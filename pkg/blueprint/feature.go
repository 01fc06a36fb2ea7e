package blueprint

import (
	"encoding/json"
	"slices"
	"strings"
)

// Property types that the program itself knows. Templates may use others; their values are
// not checked.
const (
	typeNumber        = "number"
	typeCurrency      = "currency"
	typeCheckbox      = "checkbox"
	typeDate          = "date"
	typeSelect        = "select"
	typeNodeReference = "node_reference"
	typeObject        = "object"
)

// The features that add properties. A template may list others; they mean something to
// clients only.
const (
	featureScheduling = "scheduling"
	featureBudgeting  = "budgeting"
	featurePerson     = "is_person"

	personType = "person" // a type of this key is a person whether it says so or not
)

// withFeatures adds the properties of the type's features to the declared ones.
func withFeatures(n *NodeType, declared []draft) []draft {
	if n.Key == personType && !slices.Contains(n.Features, featurePerson) {
		n.Features = append(n.Features, featurePerson)
	}
	out := declared
	for i, feature := range n.Features {
		if slices.Contains(n.Features[:i], feature) {
			continue
		}
		for _, p := range featureProperties(feature) {
			out = mergeFeature(out, feature, p)
		}
	}

	return out
}

// mergeFeature adds one property of a feature. A property of that id which the template locks
// is the feature's own, written out: what it leaves open is filled in. One that it does not lock
// is the author's: the feature's stands beside it under an id of its own, with the plain key.
func mergeFeature(all []draft, feature string, p draft) []draft {
	find := func(id string) int {
		return slices.IndexFunc(all, func(o draft) bool { return o.Declared == id })
	}
	beside := "_feat_" + feature + "_" + p.Declared
	if i := find(beside); i >= 0 {
		all[i].Key = p.Key
		all[i].fill(p)

		return all
	}
	i := find(p.Declared)
	if i >= 0 && all[i].SystemLocked {
		all[i].fill(p)

		return all
	}
	if i >= 0 {
		p.Declared = beside
	}

	return append(all, p)
}

// fill takes over from the feature what the file does not say.
func (p *draft) fill(from draft) {
	text := func(field string, dst *string, src string) {
		if !p.given[field] {
			*dst = src
		}
	}
	text("indicator_set", &p.IndicatorSet, from.IndicatorSet)
	text("ui_group", &p.UIGroup, from.UIGroup)
	text("semantic_role", &p.SemanticRole, from.SemanticRole)
	text("target_type", &p.TargetType, from.TargetType)
	if p.Name == "" {
		p.Name = from.Name
	}
	if p.Type == "" {
		p.Type = from.Type
	}
	if !p.given["options"] {
		p.Options = from.Options
	}
	if !p.given["value"] {
		p.value = from.value
	}
	if !p.given["required"] {
		p.Required = from.Required
	}
}

func featureProperties(feature string) []draft {
	switch feature {
	case featureScheduling:
		return scheduling()
	case featureBudgeting:
		return []draft{
			added("estimated_cost", "Estimated Cost", typeCurrency, "Financial", ""),
			added("actual_cost", "Actual Cost", typeCurrency, "Financial", ""),
		}
	case featurePerson:
		return person()
	}

	return nil
}

func scheduling() []draft {
	const group = "Schedule"
	start := added("start_date", "Start Date", typeDate, group, "")
	start.SemanticRole = "gantt_start"
	end := added("end_date", "End Date", typeDate, group, "")
	end.SemanticRole = "gantt_end"
	assigned := added("assigned_to", "Assigned To", typeNodeReference, group, "")
	assigned.TargetType = personType
	status := added("status", "Status", typeSelect, group, `"To Do"`)
	status.IndicatorSet = "status"
	status.Options = []Option{
		{Name: "To Do", IndicatorID: "empty"},
		{Name: "In Progress", IndicatorID: "partial"},
		{Name: "Done", IndicatorID: "filled"},
	}

	return []draft{
		start, end, assigned,
		added("estimated_hours", "Estimated Hours", typeNumber, group, "0"),
		added("actual_hours", "Actual Hours", typeNumber, group, "0"),
		added("allocations", "Allocations", typeObject, group, "{}"),
		status,
	}
}

// person is what a person can work and costs: by weekday, and three roll-ups over the week.
func person() []draft {
	const capacityGroup, overtimeGroup, rateGroup = "Capacity", "Overtime", "Rates"
	days := []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	var capacity, overtime, rates []draft
	for i, day := range days {
		key, hours := strings.ToLower(day), "8"
		if i > 4 {
			hours = "0"
		}
		c := added("capacity_"+key, "Capacity "+day+" (Hours)", typeNumber, capacityGroup, hours)
		c.Required = true
		capacity = append(capacity, c)
		overtime = append(overtime,
			added("overtime_capacity_"+key, "Overtime "+day+" (Hours)", typeNumber, overtimeGroup, "0"))
		rates = append(rates, added("hourly_rate_"+key, "Hourly Rate "+day, typeNumber, rateGroup, ""))
	}
	rollUps := []draft{
		added("overtime_capacity", "Overtime Capacity (Hours)", typeNumber, overtimeGroup, "0"),
		added("daily_capacity", "Daily Capacity (Hours)", typeNumber, capacityGroup, "8"),
		added("hourly_rate", "Hourly Rate", typeNumber, rateGroup, "0"),
	}

	return slices.Concat(capacity, overtime, rollUps, rates)
}

// added is a property of a feature. value is JSON; empty: none.
func added(id, name, typ, group, value string) draft {
	var p draft
	p.Declared, p.Key, p.Name, p.Type, p.UIGroup, p.SystemLocked = id, id, name, typ, group, true
	if value != "" {
		p.value = json.RawMessage(value)
	}

	return p
}
