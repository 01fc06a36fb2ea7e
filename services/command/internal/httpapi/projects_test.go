package httpapi_test

import (
	"testing"

	"github.com/google/uuid"
)

func TestAProjectIsCreatedWithOneRoot(t *testing.T) {
	t.Parallel()
	s := start(t)

	r := s.want(t, 201, "POST", "/api/v1/projects", object{"template_id": "software-project", "project_name": "Apollo"})

	roots := r.at("graph", "roots").([]any)
	if len(roots) != 1 || r.str("graph", "roots", 0, "name") != "Apollo" || r.num("version") != 1 || r.str("epoch") == "" {
		t.Errorf("got %s", r.text)
	}
	schema := s.want(t, 200, "GET", "/api/v1/templates/software-project/schema", nil)
	if r.at("graph", "roots", 0, "blueprint_type_id") != schema.at("node_types", 0, "id") {
		t.Errorf("the root's type is not the schema's first: %s", r.text)
	}
	if r.header.Get("ETag") == "" {
		t.Error("no ETag")
	}
}

func TestARefusedProjectLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, body := range []object{
		{}, {"template_id": "", "project_name": "x"}, {"template_id": "generic-tree", "project_name": ""}, {"template_id": "none", "project_name": "x"},
	} {
		if r := s.send(t, "POST", "/api/v1/projects", body); r.status < 400 || r.body["error"] == nil {
			t.Errorf("%v: got %d %s", body, r.status, r.text)
		}
	}

	if r := s.want(t, 200, "GET", "/api/v1/sessions", nil); r.num("total") != 0 {
		t.Errorf("sessions are left: %s", r.text)
	}
}

func TestARepeatedCreationIsOneProject(t *testing.T) {
	t.Parallel()
	s := start(t)
	body := object{"template_id": "generic-tree", "project_name": "Once"}

	first := s.want(t, 201, "POST", "/api/v1/projects", body, "Idempotency-Key", "k1", "X-Actor", "ann")
	again := s.want(t, 201, "POST", "/api/v1/projects", body, "Idempotency-Key", "k1", "X-Actor", "ann")

	if first.str("session_id") != again.str("session_id") || first.str("project_id") != again.str("project_id") {
		t.Errorf("got %s and %s", first.text, again.text)
	}
	if r := s.want(t, 200, "GET", "/api/v1/sessions", nil); r.num("total") != 1 {
		t.Errorf("got %s", r.text)
	}
}

func TestASavedProjectIsListedReadLoadedAndDeleted(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	p.item(t, p.root, "leaf")
	path := "/api/v1/projects/" + p.project

	saved := p.want(t, 200, "POST", path+"/save", nil)
	list := p.want(t, 200, "GET", "/api/v1/projects?limit=10", nil)
	read := p.want(t, 200, "GET", path, nil)
	loaded := p.want(t, 200, "POST", path+"/load", nil)
	into := p.want(t, 200, "POST", path+"/load", object{"session_id": p.id})

	if saved.at("success") != true || saved.num("version") != 2 {
		t.Errorf("save: %s", saved.text)
	}
	if list.num("total") != 1 || list.str("projects", 0, "project_id") != p.project || list.str("projects", 0, "name") != "Plan" ||
		list.str("projects", 0, "template_id") != "generic-tree" || list.str("projects", 0, "saved_at") == "" || list.num("projects", 0, "version") != 2 {
		t.Errorf("list: %s", list.text)
	}
	if read.str("graph", "roots", 0, "children", 0, "name") != "leaf" || read.str("name") != "Plan" {
		t.Errorf("read: %s", read.text)
	}
	if loaded.str("session_id") == p.id || loaded.str("project_id") != p.project || loaded.str("graph", "roots", 0, "children", 0, "name") != "leaf" {
		t.Errorf("load: %s", loaded.text)
	}
	if into.str("session_id") != p.id || into.num("version") != 3 {
		t.Errorf("load into the session: %s", into.text)
	}
	requireClear(t, "several sessions", p.send(t, "POST", path+"/save", object{}), 409, "SESSION_AMBIGUOUS")
	p.want(t, 200, "POST", path+"/save", object{"session_id": p.id})
	if r := p.want(t, 200, "DELETE", path, nil); r.at("success") != true {
		t.Errorf("delete: %s", r.text)
	}
	requireClear(t, "deleted", p.send(t, "GET", path, nil), 404, "PROJECT_NOT_FOUND")
}

func TestTemplatesAreListedAndDescribed(t *testing.T) {
	t.Parallel()
	s := start(t)

	list := s.want(t, 200, "GET", "/api/v1/templates", nil)
	schema := s.want(t, 200, "GET", "/api/v1/templates/generic-tree/schema", nil)

	if list.str("templates", 0, "id") != "generic-tree" || list.str("templates", 0, "name") == "" || list.str("templates", 0, "description") == "" {
		t.Errorf("list: %s", list.text)
	}
	if schema.str("id") != "generic-tree" || schema.str("node_types", 0, "key") != "tree_root" {
		t.Errorf("schema: %s", schema.text)
	}
	if _, err := uuid.Parse(schema.str("node_types", 0, "id")); err != nil {
		t.Errorf("the id of a type: %v", err)
	}
}
