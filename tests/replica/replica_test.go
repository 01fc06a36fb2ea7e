package replica_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/replica"
)

// event is one event of a commit.
type event struct{ name, data string }

func created(id, order string) event {
	return event{"graph:node-created", `{"node_id":"` + id + `","order":"` + order + `","node":{"id":"` + id + `","blueprint_type_id":"t","name":"n","properties":{"p":1}}}`}
}

func linked(child, parent, order string) event {
	return event{"graph:node-linked", `{"parent_id":"` + parent + `","child_id":"` + child + `","order":"` + order + `"}`}
}

func unlinked(child, parent, order string) event {
	return event{"graph:node-unlinked", `{"parent_id":"` + parent + `","child_id":"` + child + `","order":` + order + `}`}
}

func deleted(id string) event { return event{"graph:node-deleted", `{"node_id":"` + id + `"}`} }

func changed(id, property, value, more string) event {
	return event{"graph:property-changed", `{"node_id":"` + id + `","property_id":"` + property + `","new_value":` + value + more + `}`}
}

// after is the replica that events make of a house with a roof.
func after(t *testing.T, events ...event) (*replica.Replica, error) {
	t.Helper()
	r := replica.New()
	for _, e := range append([]event{created("house", "a"), created("roof", "b"), linked("roof", "house", "a")}, events...) {
		if err := r.Apply(e.name, json.RawMessage(e.data)); err != nil {
			return r, err
		}
	}
	return r, r.Settle()
}

func TestAReplicaByEventsIsTheOneOfTheAnswer(t *testing.T) {
	t.Parallel()
	byEvents, err := after(t, changed("roof", "q", `"x"`, ""), changed("roof", "name", `"top"`, `,"name":"top"`), changed("roof", "o", `1`, `,"orphaned":true`),
		event{"graph:property-deleted", `{"node_id":"house","property_id":"p"}`}, event{"command:executed", `nonsense`})
	if err != nil {
		t.Fatal(err)
	}
	byAnswer := replica.New()
	err = byAnswer.Reset(json.RawMessage(`{"roots":[{"id":"house","blueprint_type_id":"t","name":"n","order":"a","properties":{},"children":[
		{"id":"roof","blueprint_type_id":"t","name":"top","order":"a","properties":{"q":"x","p":1},"children":[]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}

	if byEvents.Hash() != byAnswer.Hash() || byEvents.Len() != 2 {
		t.Errorf("%s and %s", byEvents.Hash(), byAnswer.Hash())
	}
	if name, ok := byEvents.NameOf("roof"); !ok || name != "top" || !byEvents.Has("top") || byEvents.ParentOf("roof") != "house" {
		t.Errorf("%q, %v", name, ok)
	}
	if _, ok := byEvents.NameOf("cellar"); ok || byEvents.Has("cellar") || byEvents.ParentOf("cellar") != "" {
		t.Error("there is no cellar")
	}
	if ids := byEvents.IDs(); len(ids) != 2 || !slices.Contains(ids, "roof") {
		t.Errorf("%v", ids)
	}
}

func TestTheHashTellsEveryDifferenceAndComesBackWithTheGraph(t *testing.T) {
	t.Parallel()
	plain, err := after(t)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{plain.Hash(): "as it was"}
	for name, events := range map[string][]event{
		"a property": {changed("roof", "q", "1", "")}, "another value": {changed("roof", "q", "2", "")}, "a name": {changed("roof", "name", `"x"`, `,"name":"x"`)},
		"a place": {unlinked("roof", "house", "null"), linked("roof", "house", "c")}, "a root": {unlinked("roof", "house", `"b"`)},
		"fewer": {unlinked("roof", "house", "null"), deleted("roof")}, "more": {created("barn", "c")},
	} {
		r, err := after(t, events...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, ok := seen[r.Hash()]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[r.Hash()] = name
	}

	back, err := after(t, created("barn", "c"), changed("roof", "q", "1", ""), changed("roof", "q", "null", ""), deleted("barn"))
	if err != nil || back.Hash() != plain.Hash() {
		t.Errorf("%v: %s, want %s", err, back.Hash(), plain.Hash())
	}
	if empty := replica.New().Hash(); empty != "0000000000000000" {
		t.Errorf("the empty graph is %s", empty)
	}
}

func TestWhatAGraphDoesNotAdmitIsRefused(t *testing.T) {
	t.Parallel()
	for says, events := range map[string][]event{
		"there already":                  {created("roof", "z")},
		"no node":                        {changed("cellar", "p", "1", "")},
		"cannot hang":                    {created("barn", "c"), linked("barn", "cellar", "a")},
		"below itself":                   {linked("house", "roof", "a")},
		"hangs under \"house\"":          {unlinked("roof", "barn", "null")},
		"leaves 1 children":              {deleted("house")},
		"still hangs":                    {deleted("roof")},
		"stands nowhere":                 {unlinked("roof", "house", "null")},
		"shares its sort key":            {created("barn", "a")},
		"unknown event":                  {{"graph:node-painted", `{"node_id":"roof"}`}},
		"graph:node-deleted: unexpected": {{"graph:node-deleted", `{`}},
		"is there twice":                 {{"project:loaded", `{"graph":{"roots":[{"id":"a"},{"id":"a"}]}}`}},
		"fetch it":                       {{"project:loaded", `{"graph":null}`}},
		"graph: json":                    {{"project:loaded", `{"graph":{"roots":1}}`}},
	} {
		if _, err := after(t, events...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q in it", err, says)
		}
	}
	if _, err := after(t, event{"project:loaded", `{}`}); !errors.Is(err, replica.ErrFetch) {
		t.Errorf("error %v", err)
	}
}
