package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestTheGraphIsServedInTwoForms(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	p.item(t, p.root, "leaf")

	graph := p.want(t, 200, "GET", p.path("/graph"), nil)
	tree := p.want(t, 200, "GET", p.path("/graph/tree"), nil)
	query := p.want(t, 200, "GET", "/api/v1/graph?session_id="+p.id, nil)

	if graph.str("graph", "roots", 0, "children", 0, "name") != "leaf" || graph.num("version") != 2 || graph.str("epoch") == "" {
		t.Errorf("graph: %s", graph.text)
	}
	if tree.str("roots", 0, "children", 0, "name") != "leaf" || tree.num("version") != 2 || tree.text != query.text {
		t.Errorf("tree: %s\nquery: %s", tree.text, query.text)
	}
	for _, field := range []string{"id", "blueprint_type_id", "name", "properties", "metadata", "children", "indicator_id", "indicator_set", "icon_id", "allowed_children"} {
		if _, ok := graph.at("graph", "roots", 0).(map[string]any)[field]; !ok {
			t.Errorf("a node has no %s", field)
		}
	}
}

func TestAGraphThatTheClientHasIsNotSentAgain(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	etag := p.want(t, 200, "GET", p.path("/graph"), nil).header.Get("ETag")

	for _, tag := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
		if r := p.want(t, 304, "GET", p.path("/graph/tree"), nil, "If-None-Match", tag); r.text != "" || r.header.Get("ETag") != etag {
			t.Errorf("%s: got %q, %s", tag, r.text, r.header.Get("ETag"))
		}
	}
	p.item(t, p.root, "new")
	if r := p.want(t, 200, "GET", p.path("/graph"), nil, "If-None-Match", etag); r.num("version") != 2 {
		t.Errorf("got %s", r.text)
	}
}

func TestOneNodeIsServedByItsSessionAndByItsProject(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	leaf := p.item(t, p.root, "leaf")

	root := p.want(t, 200, "GET", p.path("/graph/nodes/"+p.root), nil)
	child := p.want(t, 200, "GET", "/api/v1/projects/"+p.project+"/graph/nodes/"+leaf, nil)

	if root.at("parent_id") != nil || root.str("children", 0) != leaf || root.str("blueprint_type_name") != "Tree" || root.num("version") != 2 {
		t.Errorf("root: %s", root.text)
	}
	if child.str("parent_id") != p.root || child.str("name") != "leaf" || child.at("children") == nil || child.at("properties") == nil {
		t.Errorf("child: %s", child.text)
	}
	if _, there := root.body["parent_id"]; !there {
		t.Errorf("a root has no parent_id at all: %s", root.text)
	}
}

func TestNodesAreFoundByText(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	leaf := p.command(t, "CreateNode", object{"blueprint_type_id": "tree_item", "parent_id": p.root, "name": "Dach",
		"properties": object{"notes": "Schiefer"}}).str("node_id")

	r := p.want(t, 200, "POST", p.path("/graph/search"), object{"query": "SCHIEFER", "filter_by_type": nil})
	none := p.want(t, 200, "POST", "/api/v1/projects/"+p.project+"/graph/search", object{"query": "dach", "filter_by_type": "tree_folder", "limit": 5})

	if len(r.at("results").([]any)) != 1 || r.str("results", 0, "id") != leaf || r.str("results", 0, "name") != "Dach" ||
		r.str("results", 0, "breadcrumb") != "Plan > Dach" || r.str("results", 0, "type") == "" {
		t.Errorf("got %s", r.text)
	}
	if len(none.at("results").([]any)) != 0 {
		t.Errorf("got %s", none.text)
	}
}

func TestTheLogIsServedAsCommitFrames(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	p.item(t, p.root, "one")
	position := p.want(t, 200, "GET", p.path("/info"), nil).str("position")
	p.item(t, p.root, "two")

	all := p.want(t, 200, "GET", p.path("/events"), nil)
	rest := p.want(t, 200, "GET", p.path("/events?after="+position), nil)
	one := p.want(t, 200, "GET", p.path("/events?after=1&limit=1"), nil)

	if all.num("version") != 3 || len(all.at("commits").([]any)) != 3 || all.str("commits", 1, "type") != "commit" {
		t.Errorf("all: %s", all.text)
	}
	if len(rest.at("commits").([]any)) != 1 || rest.num("commits", 0, "version") != 3 || rest.str("commits", 0, "prev") == "" ||
		rest.str("commits", 0, "events", 0, "event") != "command:executing" {
		t.Errorf("rest: %s", rest.text)
	}
	if len(one.at("commits").([]any)) != 1 || one.num("commits", 0, "version") != 2 || one.num("version") != 3 {
		t.Errorf("one: %s", one.text)
	}
	ahead := strings.Replace(position, ".2.", ".9.", 1)
	if r := p.send(t, "GET", p.path("/events?after="+ahead), nil); r.status != 410 || r.code() != "LOG_TRIMMED" {
		t.Errorf("ahead of the log: %d %s", r.status, r.text)
	}
}

func TestAFlatProjectIsLoadedWithItsIdsMapped(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	before := p.want(t, 200, "GET", p.path("/info"), nil).num("version")

	r := p.want(t, 200, "POST", p.path("/load-graph"), object{
		"template_id": "generic-tree",
		"graph": object{"nodes": []object{
			{"id": "house", "type": "tree_root", "properties": object{"name": "House"}, "children": []string{"roof", "odd"}},
			{"id": "roof", "type": "tree_item", "name": "Roof", "properties": object{"notes": "steep", "unheard": 1}},
			{"id": "odd", "type": "zeppelin", "name": "Odd"},
		}},
		"blocking_relationships": []object{{"blockedNodeId": "roof", "blockingNodeId": "odd"}},
	})

	name := func(text string) string { return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(text)).String() }
	if r.str("graph", "roots", 0, "id") != name("house") || r.str("graph", "roots", 0, "children", 0, "id") != name("roof") ||
		r.str("graph", "roots", 0, "name") != "House" || r.str("template_id") != "generic-tree" || r.num("version") != before+1 {
		t.Errorf("got %s", r.text)
	}
	if r.at("graph", "roots", 0, "children", 1, "metadata", "orphaned") != true || r.at("orphan_info") == nil {
		t.Errorf("orphans: %s", r.text)
	}
	blocking := p.want(t, 200, "GET", p.path("/blocking-graph"), nil)
	if blocking.str("relationships", 0, "blockedNodeId") != name("roof") || blocking.str("relationships", 0, "blockingNodeId") != name("odd") ||
		blocking.num("timestamp") == 0 {
		t.Errorf("blocking: %s", blocking.text)
	}
	info := p.want(t, 200, "GET", p.path("/info"), nil)
	if info.at("undo_available") != false || info.at("is_dirty") != true || info.num("node_count") != 3 {
		t.Errorf("info: %s", info.text)
	}
}

func TestWhatIsServedCanBeLoadedAgain(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	parent := p.root
	for range 40 {
		parent = p.item(t, parent, "deeper")
	}
	graph := p.want(t, 200, "GET", p.path("/graph"), nil)

	loaded := p.want(t, 200, "POST", p.path("/load-graph"), object{"graph": graph.at("graph"), "template_id": "generic-tree"})

	again := p.want(t, 200, "GET", p.path("/graph"), nil)
	if loaded.num("version") != 42 || again.num("version") != 42 {
		t.Errorf("versions %d, %d", loaded.num("version"), again.num("version"))
	}
	if info := p.want(t, 200, "GET", p.path("/info"), nil); info.num("node_count") != 41 {
		t.Errorf("got %s", info.text)
	}
}

func TestACycleIsRefusedWithTheNamesOfItsNodes(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	before := p.state(t)

	r := p.send(t, "POST", p.path("/load-graph"), object{"graph": object{"nodes": []object{
		{"id": "a", "type": "t", "children": []string{"b"}}, {"id": "b", "type": "t", "children": []string{"a"}},
	}}})

	requireClear(t, "cycle", r, 400, "INVALID_REQUEST")
	if !strings.Contains(r.text, `"a"`) || p.state(t) != before {
		t.Errorf("got %s", r.text)
	}
}
