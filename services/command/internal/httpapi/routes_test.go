package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestEveryRouteRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	before := p.state(t)
	unknown := "/api/v1/sessions/" + uuid.NewString()
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		code         string
	}{
		{"GET", unknown + "/info", nil, 404, "INVALID_SESSION"},
		{"GET", "/api/v1/sessions/x/info", nil, 404, "INVALID_SESSION"},
		{"DELETE", unknown, nil, 404, "INVALID_SESSION"},
		{"GET", unknown + "/graph", nil, 404, "INVALID_SESSION"},
		{"GET", unknown + "/graph/tree", nil, 404, "INVALID_SESSION"},
		{"GET", "/api/v1/graph?session_id=" + uuid.NewString(), nil, 404, "INVALID_SESSION"},
		{"GET", "/api/v1/graph", nil, 400, "INVALID_REQUEST"},
		{"GET", unknown + "/graph/nodes/" + p.root, nil, 404, "INVALID_SESSION"},
		{"GET", p.path("/graph/nodes/" + uuid.NewString()), nil, 404, "NODE_NOT_FOUND"},
		{"GET", p.path("/graph/nodes/nonsense"), nil, 404, "NODE_NOT_FOUND"},
		{"GET", "/api/v1/projects/nonsense/graph/nodes/" + p.root, nil, 404, "PROJECT_NOT_FOUND"},
		{"POST", p.path("/graph/search"), object{}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/graph/search"), object{"query": 7}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/graph/search"), object{"query": "x", "limit": "many"}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/graph/search"), object{"query": "x", "filter_by_type": 1}, 400, "INVALID_REQUEST"},
		{"POST", unknown + "/graph/search", object{"query": "x"}, 404, "INVALID_SESSION"},
		{"GET", unknown + "/events", nil, 404, "INVALID_SESSION"},
		{"GET", p.path("/events?after=nonsense"), nil, 400, "INVALID_REQUEST"},
		{"GET", p.path("/events?after=-1"), nil, 400, "INVALID_REQUEST"},
		{"GET", p.path("/events?limit=0"), nil, 400, "INVALID_REQUEST"},
		{"GET", unknown + "/dirty", nil, 404, "INVALID_SESSION"},
		{"POST", unknown + "/save", object{}, 404, "INVALID_SESSION"},
		{"POST", unknown + "/reset-dirty", nil, 404, "INVALID_SESSION"},
		{"GET", unknown + "/velocity", nil, 404, "INVALID_SESSION"},
		{"GET", unknown + "/blocking-graph", nil, 404, "INVALID_SESSION"},
		{"POST", unknown + "/undo", nil, 404, "INVALID_SESSION"},
		{"POST", unknown + "/redo", nil, 404, "INVALID_SESSION"},
		{"POST", p.path("/undo"), object{"scope": "actor"}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/undo"), object{"scope": "world"}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/undo"), object{"scope": 1}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/undo"), object{"expect_top": "x"}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/undo"), object{"expect_top": 1.5}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/redo"), `{"x":`, 400, "INVALID_REQUEST"},
		{"POST", unknown + "/load-graph", object{"graph": object{"nodes": []any{}}}, 404, "INVALID_SESSION"},
		{"POST", p.path("/load-graph"), object{}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/load-graph"), nil, 400, "INVALID_REQUEST"},
		{"POST", p.path("/load-graph"), object{"graph": object{"nodes": []any{object{"name": "no id"}}}}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/load-graph"), object{"graph": object{"nodes": []any{
			object{"id": "a", "type": "t", "children": []any{"b"}}, object{"id": "b", "type": "t", "children": []any{"a"}},
		}}}, 400, "INVALID_REQUEST"},
		{"POST", p.path("/load-graph"), strings.Repeat(`{"graph":`, 10_000), 400, "INVALID_REQUEST"},
		{"GET", "/api/v1/sessions?limit=x", nil, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/sessions/cleanup", object{"max_inactive_hours": "a day"}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/sessions/cleanup", object{"max_inactive_hours": -1}, 400, "INVALID_REQUEST"},
		{"GET", "/api/v1/commands/state", nil, 400, "INVALID_REQUEST"},
		{"GET", "/api/v1/commands/state?session_id=x", nil, 404, "INVALID_SESSION"},
		{"POST", "/api/v1/commands/batch", object{"session_id": p.id}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/commands/batch", object{"session_id": p.id, "commands": []any{}}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/commands/batch", object{"session_id": p.id, "commands": []any{7}}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/commands/batch", object{"session_id": p.id, "commands": []any{object{"data": object{}}}}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/commands/batch", object{"session_id": p.id, "commands": []any{object{"command_type": "DeleteNode", "data": 1}}}, 400, "INVALID_COMMAND"},
		{"POST", "/api/v1/commands/batch", object{"session_id": p.id, "label": 1, "commands": []any{object{"command_type": "DeleteNode"}}}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/commands/batch", object{"session_id": p.id, "commands": make([]object, 1001)}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/projects", object{"template_id": "generic-tree"}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/projects", object{"template_id": 1, "project_name": "x"}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/projects", object{"template_id": "no-such", "project_name": "x"}, 404, "TEMPLATE_NOT_FOUND"},
		{"POST", "/api/v1/projects", object{"template_id": "../../etc/passwd", "project_name": "x"}, 404, "TEMPLATE_NOT_FOUND"},
		{"GET", "/api/v1/projects?limit=-3", nil, 400, "INVALID_REQUEST"},
		{"GET", "/api/v1/projects/" + uuid.NewString(), nil, 404, "PROJECT_NOT_FOUND"},
		{"DELETE", "/api/v1/projects/" + uuid.NewString(), nil, 404, "PROJECT_NOT_FOUND"},
		{"POST", "/api/v1/projects/" + uuid.NewString() + "/load", object{}, 404, "PROJECT_NOT_FOUND"},
		{"POST", "/api/v1/projects/" + uuid.NewString() + "/save", object{}, 404, "PROJECT_NOT_FOUND"},
		{"POST", "/api/v1/projects/" + p.project + "/save", object{"session_id": 1}, 400, "INVALID_REQUEST"},
		{"POST", "/api/v1/projects/" + p.project + "/load", object{"session_id": "x"}, 404, "INVALID_SESSION"},
		{"GET", "/api/v1/templates/no-such/schema", nil, 404, "TEMPLATE_NOT_FOUND"},
		{"GET", "/api/v1/templates/%2e%2e%2fsecret/schema", nil, 404, "TEMPLATE_NOT_FOUND"},
		{"GET", "/api/v1/nothing", nil, 404, "NOT_FOUND"},
		{"GET", "/nothing/at/all", nil, 404, "NOT_FOUND"},
		{"GET", "/api/v1/icons/x", nil, 404, "NOT_FOUND"},
		{"PUT", "/api/v1/commands/execute", object{}, 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", "/api/v1/health", nil, 405, "METHOD_NOT_ALLOWED"},
		{"BREW", "/api/v1/projects", nil, 405, "METHOD_NOT_ALLOWED"},
		{"BREW", "/api/v1/nothing", nil, 404, "NOT_FOUND"},
	} {
		r := p.send(t, c.method, c.path, c.body)

		requireClear(t, c.method+" "+c.path, r, c.status, c.code)
		if c.status == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", c.method, c.path)
		}
	}

	if after := p.state(t); after != before {
		t.Errorf("the session changed:\n%s\n%s", before, after)
	}
}
