package blueprint_test

import (
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/blueprint"
)

// keys lists the ids in the file of a type's properties.
func keys(nt *blueprint.NodeType) string {
	var list []string
	for i := range nt.Properties {
		list = append(list, nt.Properties[i].Declared)
	}

	return strings.Join(list, " ")
}

func TestFeaturesAddTheirProperties(t *testing.T) {
	t.Parallel()
	tpl := decode(t, types(
		"{id: a, label: A, features: [scheduling, scheduling, is_root], properties: [{id: name, label: N, type: text}]}",
		"{id: b, label: B, features: [budgeting]}"))

	a, b := nodeType(t, tpl, "a"), nodeType(t, tpl, "b")

	if got := keys(a); got != "name start_date end_date assigned_to estimated_hours actual_hours allocations status" {
		t.Errorf("scheduling: %s", got)
	}
	if got := keys(b); got != "estimated_cost actual_cost" {
		t.Errorf("budgeting: %s", got)
	}
	if p := property(t, b, "actual_cost"); p.Type != "currency" || p.UIGroup != "Financial" || !p.SystemLocked || p.Default != nil {
		t.Errorf("actual_cost is %+v", p)
	}
	if p := property(t, a, "start_date"); p.Type != "date" || p.UIGroup != "Schedule" || p.ID != blueprint.PropertyID("a", "start_date") {
		t.Errorf("start_date is %+v", p)
	}
	if p := property(t, a, "allocations"); p.Type != "object" || string(p.Default) != "{}" {
		t.Errorf("allocations is %+v", p)
	}
	status := property(t, a, "status")
	if status.IndicatorSet != "status" || len(status.Options) != 3 || status.Options[1].IndicatorID != "partial" {
		t.Errorf("status is %+v", status)
	}
	if got, want := string(status.Default), `"`+blueprint.OptionID("a", "status", "To Do").String()+`"`; got != want {
		t.Errorf("the default status is %s, want %s", got, want)
	}
}

func TestAPersonHasItsWeek(t *testing.T) {
	t.Parallel()
	tpl := decode(t, types("{id: person, label: P}", "{id: helper, label: H, features: [is_person]}", "{id: thing, label: T}"))

	person, helper := nodeType(t, tpl, "person"), nodeType(t, tpl, "helper")

	if len(person.Properties) != 24 || keys(person) != keys(helper) {
		t.Errorf("person: %s\nhelper: %s", keys(person), keys(helper))
	}
	if len(nodeType(t, tpl, "thing").Properties) != 0 {
		t.Error("a thing is no person")
	}
	if strings.Join(person.Features, " ") != "is_person" {
		t.Errorf("features: %v", person.Features)
	}
	monday, sunday := property(t, person, "capacity_monday"), property(t, person, "capacity_sunday")
	if string(monday.Default) != "8" || string(sunday.Default) != "0" || !monday.Required || monday.Type != "number" {
		t.Errorf("got %+v and %+v", monday, sunday)
	}
	for _, key := range []string{"overtime_capacity_friday", "hourly_rate_tuesday", "overtime_capacity", "daily_capacity", "hourly_rate"} {
		property(t, person, key)
	}
}

func TestAFeaturesPropertyStandsBesideTheAuthorsOwn(t *testing.T) {
	t.Parallel()
	tpl := decode(t, types("{id: a, label: A, features: [scheduling], primary_status_property_id: status, properties: [{id: status, label: Mine, type: text}]}"))

	a := nodeType(t, tpl, "a")
	mine, added := property(t, a, "status"), property(t, a, "_feat_scheduling_status")

	if mine.Name != "Mine" || mine.Key != "status" || mine.ID != blueprint.PropertyID("a", "status") || a.PrimaryStatus != mine.ID {
		t.Errorf("mine is %+v", mine)
	}
	if added.Key != "status" || added.Type != "select" || added.ID != blueprint.PropertyID("a", "_feat_scheduling_status") {
		t.Errorf("the added one is %+v", added)
	}
	if want := blueprint.OptionID("a", "_feat_scheduling_status", "Done").String(); added.Options[2].ID != want {
		t.Errorf("its option is %s, want %s", added.Options[2].ID, want)
	}
	if len(a.Properties) != 8 {
		t.Errorf("properties: %s", keys(a))
	}
}

func TestALockedPropertyIsFilledIn(t *testing.T) {
	t.Parallel()
	tpl := decode(t, types(
		"{id: a, label: A, features: [scheduling], properties: [{id: status, label: Stage, system_locked: true, type: select, options: [One, Two], value: Two}, {id: assigned_to, system_locked: true}, {id: estimated_hours, system_locked: true, value: 3, ui_group: Mine}]}",
		"{id: b, label: B, features: [scheduling], properties: [{id: status, label: Mine, type: text}, {id: _feat_scheduling_status, key: status, system_locked: true}]}"))

	a, b := nodeType(t, tpl, "a"), nodeType(t, tpl, "b")
	stage, assigned, hours := property(t, a, "status"), property(t, a, "assigned_to"), property(t, a, "estimated_hours")

	if stage.Name != "Stage" || len(stage.Options) != 2 || stage.IndicatorSet != "status" || stage.UIGroup != "Schedule" {
		t.Errorf("status is %+v", stage)
	}
	if o, _ := stage.Option("Two"); string(stage.Default) != `"`+o.ID+`"` {
		t.Errorf("the default is %s", stage.Default)
	}
	if assigned.Name != "Assigned To" || assigned.Type != "node_reference" || assigned.TargetType != "person" {
		t.Errorf("assigned_to is %+v", assigned)
	}
	if string(hours.Default) != "3" || hours.UIGroup != "Mine" || hours.Type != "number" {
		t.Errorf("estimated_hours is %+v", hours)
	}
	if len(a.Properties) != 7 || len(b.Properties) != 8 {
		t.Errorf("a: %s\nb: %s", keys(a), keys(b))
	}
	if p := property(t, b, "_feat_scheduling_status"); p.Key != "status" || len(p.Options) != 3 || p.Name != "Status" {
		t.Errorf("the one that was written out is %+v", p)
	}
}

func TestASelectsDefaultIsAlwaysAnOption(t *testing.T) {
	t.Parallel()
	tpl := decode(t, types("{id: a, label: A, properties: ["+
		"{id: first, label: F, type: select, options: [x, y]},"+
		"{id: byname, label: F, type: select, options: [x, y], value: y},"+
		"{id: byid, label: F, type: select, options: [x, {name: y, id: Custom}], value: custom},"+
		"{id: wrong, label: F, type: select, options: [x, y], value: [z]},"+
		"{id: number, label: F, type: number, value: 7},"+
		"{id: none, label: F, type: text}]}"))
	a := nodeType(t, tpl, "a")
	rule, _ := tpl.Type("a")

	for id, want := range map[string]string{
		"first":  `"` + blueprint.OptionID("a", "first", "x").String() + `"`,
		"byname": `"` + blueprint.OptionID("a", "byname", "y").String() + `"`,
		"byid":   `"Custom"`,
		"wrong":  `"` + blueprint.OptionID("a", "wrong", "x").String() + `"`,
		"number": "7",
		"none":   "",
	} {
		p := property(t, a, id)
		if string(p.Default) != want || string(rule.Defaults[p.Ref()]) != want {
			t.Errorf("%s: %s and %s, want %s", id, p.Default, rule.Defaults[p.Ref()], want)
		}
	}
	if len(rule.Defaults) != 5 || rule.ID != a.Ref() || rule.NameProperty != "" {
		t.Errorf("the rule is %+v", rule)
	}
}
