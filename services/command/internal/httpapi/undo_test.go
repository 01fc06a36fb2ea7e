package httpapi_test

import "testing"

func TestUndoAndRedoSayWhatTheyActedOn(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	created := p.command(t, "CreateNode", object{"blueprint_type_id": "tree_item", "parent_id": p.root}, "X-Actor", "Änne")

	undone := p.want(t, 200, "POST", p.path("/undo"), object{"scope": "session", "expect_top": 2})
	redone := p.want(t, 200, "POST", p.path("/redo"), nil, "Prefer", "return=minimal")

	if undone.num("version") != 3 || undone.at("undone", "command_id") != created.at("command_id") || undone.num("undone", "version") != 2 ||
		undone.str("undone", "actor") != "Änne" || undone.str("undone", "command_type") != "CreateNode" ||
		undone.at("redo_available") != true || undone.at("undo_available") != false {
		t.Errorf("undo: %s", undone.text)
	}
	if redone.num("version") != 4 || redone.num("redone", "version") != 2 || redone.at("graph") != nil {
		t.Errorf("redo: %s", redone.text)
	}
}

func TestAnEmptyStackIsNoFailure(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	before := p.state(t)

	for field, path := range map[string]string{"undone": "/undo", "redone": "/redo"} {
		r := p.want(t, 200, "POST", p.path(path), nil)

		if value, there := r.body[field]; r.at("success") != true || value != nil || !there || r.num("version") != 1 {
			t.Errorf("%s: got %s", path, r.text)
		}
	}
	if after := p.state(t); after != before {
		t.Errorf("nothing to undo, but the session changed:\n%s\n%s", before, after)
	}
}

func TestAnUndoOfSomethingElseThanExpectedIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	p.item(t, p.root, "one")
	p.item(t, p.root, "two")
	before := p.state(t)

	r := p.send(t, "POST", p.path("/undo"), object{"expect_top": 2})

	requireClear(t, "undo", r, 409, "UNDO_TOP_CHANGED")
	if r.num("current_version") != 3 || p.state(t) != before {
		t.Errorf("got %s", r.text)
	}
}

func TestTheStateShowsWhatComesNext(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	p.item(t, p.root, "one")
	two := p.command(t, "CreateNode", object{"blueprint_type_id": "tree_item"}, "X-Actor", "ann")
	p.item(t, p.root, "three")
	p.want(t, 200, "POST", p.path("/undo"), nil)

	r := p.want(t, 200, "GET", "/api/v1/commands/state?session_id="+p.id, nil)

	if r.num("history_count") != 2 || r.at("undo_available") != true || r.at("redo_available") != true ||
		r.num("undo", 0, "version") != 3 || r.at("undo", 0, "command_id") != two.at("command_id") ||
		r.str("undo", 0, "actor") != "ann" || r.at("undo", 1, "actor") != nil || r.num("redo", 0, "version") != 4 {
		t.Errorf("got %s", r.text)
	}
}
