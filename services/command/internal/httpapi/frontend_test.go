package httpapi_test

import "testing"

// typeID finds the id of a node type by its key, as the front end does.
func typeID(schema reply, key string) string {
	for i := range schema.at("node_types").([]any) {
		if schema.str("node_types", i, "key") == key {
			return schema.str("node_types", i, "id")
		}
	}
	return ""
}

func TestTheExistingFrontEndFindsWhatItNeedsInItsOwnOrder(t *testing.T) {
	t.Parallel()
	s := start(t)

	// At the start: health, a session, and two calls about it.
	s.want(t, 200, "GET", "/api/v1/health", nil)
	first := s.want(t, 201, "POST", "/api/v1/sessions", nil).str("session_id")
	s.want(t, 200, "GET", "/api/v1/sessions/"+first+"/velocity", nil)
	s.want(t, 200, "GET", "/api/v1/sessions/"+first+"/blocking-graph", nil)

	// A new project.
	if got := s.want(t, 200, "GET", "/api/v1/templates", nil).str("templates", 0, "id"); got != "generic-tree" {
		t.Fatalf("first template: %s", got)
	}
	p := newPlan(t, s)
	schema := s.want(t, 200, "GET", "/api/v1/templates/generic-tree/schema", nil)
	folder, item := typeID(schema, "tree_folder"), typeID(schema, "tree_item")
	root := s.want(t, 200, "GET", p.path("/graph"), nil)
	if root.str("graph", "roots", 0, "blueprint_type_id") != typeID(schema, "tree_root") || root.str("graph", "roots", 0, "allowed_children", 0) != folder {
		t.Errorf("types are not those of the schema: %s", root.text)
	}

	// Commands, each after a look at the session.
	command := func(kind string, data object) reply {
		s.want(t, 200, "GET", p.path("/info"), nil)
		r := p.command(t, kind, data)
		if r.at("graph", "roots") == nil {
			t.Fatalf("%s: no graph.roots in %s", kind, r.text)
		}
		s.want(t, 200, "GET", p.path("/velocity"), nil)
		return r
	}
	box := command("CreateNode", object{"blueprint_type_id": folder, "parent_id": p.root, "name": "Box"}).str("node_id")
	thing := command("CreateNode", object{"blueprint_type_id": item, "parent_id": p.root, "name": "Thing"}).str("node_id")
	renamed := command("UpdateProperty", object{"node_id": thing, "property_id": "name", "old_value": "Thing", "new_value": "Better thing"})
	if renamed.str("graph", "roots", 0, "children", 1, "name") != "Better thing" {
		t.Errorf("rename: %s", renamed.text)
	}
	var state string
	for i := range schema.at("node_types").([]any) {
		for j := range schema.at("node_types", i, "properties").([]any) {
			if schema.str("node_types", i, "id") == item && schema.str("node_types", i, "properties", j, "key") == "state" {
				state = schema.str("node_types", i, "properties", j, "id")
			}
		}
	}
	closed := command("UpdateProperty", object{"node_id": thing, "property_id": state, "new_value": "Closed"})
	if closed.str("graph", "roots", 0, "children", 1, "indicator", "bullet") != "●" || closed.str("graph", "roots", 0, "children", 1, "indicator_id") != "filled" {
		t.Errorf("state: %s", closed.text)
	}
	moved := command("MoveNode", object{"node_id": thing, "new_parent_id": box})
	if moved.str("graph", "roots", 0, "children", 0, "children", 0, "id") != thing {
		t.Errorf("move: %s", moved.text)
	}
	other := command("CreateNode", object{"blueprint_type_id": item, "parent_id": box, "name": "Other"}).str("node_id")
	ordered := command("ReorderNode", object{"node_id": other, "new_index": 0})
	if ordered.str("graph", "roots", 0, "children", 0, "children", 0, "id") != other {
		t.Errorf("reorder: %s", ordered.text)
	}
	command("DeleteNode", object{"node_id": other})

	// Undo, redo, save.
	s.want(t, 200, "POST", p.path("/undo"), object{})
	s.want(t, 200, "POST", p.path("/redo"), object{})
	if r := s.want(t, 200, "POST", p.path("/save"), object{"anything": true}); r.at("is_dirty") != false {
		t.Errorf("save: %s", r.text)
	}

	// After a reload, and a project file.
	info := s.want(t, 200, "GET", p.path("/info"), nil)
	s.want(t, 200, "GET", "/api/v1/templates/"+info.str("template_id")+"/schema", nil)
	s.want(t, 200, "GET", p.path("/graph"), nil)
	loaded := s.want(t, 200, "POST", p.path("/load-graph"), object{"template_id": "generic-tree", "graph": object{"nodes": []object{
		{"id": p.root, "name": "Plan", "type": typeID(schema, "tree_root"), "properties": object{"name": "Plan"}, "children": []string{thing}, "metadata": object{}},
		{"id": thing, "name": "Thing", "type": item, "properties": object{"name": "Thing", state: "Open"}, "children": []string{}, "metadata": object{"x": 1}},
	}}})
	if loaded.str("graph", "roots", 0, "children", 0, "id") != thing || loaded.str("graph", "roots", 0, "children", 0, "indicator", "bullet") != "○" {
		t.Errorf("load: %s", loaded.text)
	}
	if r := s.send(t, "GET", "/api/v1/sessions/"+first+"x/info", nil); r.status != 404 {
		t.Errorf("a lost session: %d", r.status)
	}
}
