package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/command/internal/httpapi"
)

// Words that give a server away: paths, stacks, Go and Redis.
var leaks = []string{".go:", "goroutine", "/home", "/work", "/etc", "/usr", "redis", "panic", "runtime", "strconv", "127.0.0.1"}

func requireClear(t *testing.T, about string, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.code() != code {
		t.Errorf("%s: got %d %.400s, want %d %s", about, r.status, r.text, status, code)
		return
	}
	if r.str("error", "message") == "" || r.num("status") != status || r.str("title") == "" || r.str("type") == "" || r.at("retryable") == nil {
		t.Errorf("%s: incomplete problem %s", about, r.text)
	}
	for _, leak := range leaks {
		if strings.Contains(strings.ToLower(r.text), leak) {
			t.Errorf("%s: %q leaks into %s", about, leak, r.text)
		}
	}
}

func TestBadBodiesAreRefusedClearlyAndChangeNothing(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	item := p.item(t, p.root, "item")
	before := p.state(t)
	execute := func(kind, data string) string {
		return fmt.Sprintf(`{"session_id":%q,"command_type":%q,"data":%s}`, p.id, kind, data)
	}
	move := func(node, parent string) string {
		return execute("MoveNode", fmt.Sprintf(`{"node_id":%q,"new_parent_id":%q}`, node, parent))
	}
	unknown := uuid.NewString()
	for _, c := range []struct {
		about, body string
		status      int
		code        string
	}{
		{"empty body", "", 400, "INVALID_REQUEST"},
		{"wrong JSON", `{"session_id":`, 400, "INVALID_REQUEST"},
		{"a list", `[]`, 400, "INVALID_REQUEST"},
		{"a number", `7`, 400, "INVALID_REQUEST"},
		{"two values", `{}{}`, 400, "INVALID_REQUEST"},
		{"no session", `{"command_type":"CreateNode","data":{}}`, 400, "INVALID_REQUEST"},
		{"no type", fmt.Sprintf(`{"session_id":%q,"data":{}}`, p.id), 400, "INVALID_REQUEST"},
		{"session is a number", `{"session_id":7,"command_type":"CreateNode"}`, 400, "INVALID_REQUEST"},
		{"type is a list", fmt.Sprintf(`{"session_id":%q,"command_type":[]}`, p.id), 400, "INVALID_REQUEST"},
		{"data is a text", execute("CreateNode", `"x"`), 400, "INVALID_COMMAND"},
		{"data is a text in an unknown session", fmt.Sprintf(`{"session_id":%q,"command_type":"CreateNode","data":"x"}`, unknown), 404, "INVALID_SESSION"},
		{"command id is a text", fmt.Sprintf(`{"session_id":%q,"command_type":"CreateNode","command_id":"x"}`, p.id), 400, "INVALID_REQUEST"},
		{"unknown session", fmt.Sprintf(`{"session_id":%q,"command_type":"CreateNode","data":{}}`, unknown), 404, "INVALID_SESSION"},
		{"session is no id", `{"session_id":"nonsense","command_type":"CreateNode","data":{}}`, 404, "INVALID_SESSION"},
		{"unknown type", execute("Explode", `{}`), 400, "INVALID_COMMAND"},
		{"missing field", execute("CreateNode", `{}`), 400, "INVALID_COMMAND"},
		{"wrong type of a field", execute("CreateNode", `{"blueprint_type_id":7}`), 400, "INVALID_COMMAND"},
		{"properties are a list", execute("CreateNode", `{"blueprint_type_id":"tree_item","properties":[]}`), 400, "INVALID_COMMAND"},
		{"unknown node type", execute("CreateNode", `{"blueprint_type_id":"zeppelin"}`), 400, "INVALID_NODE_TYPE"},
		{"unknown node", execute("DeleteNode", fmt.Sprintf(`{"node_id":%q}`, unknown)), 404, "NODE_NOT_FOUND"},
		{"a move below itself", move(p.root, item), 400, "MOVE_INVALID"},
		{"a move to itself", move(item, item), 400, "MOVE_INVALID"},
		{"a negative place", execute("ReorderNode", fmt.Sprintf(`{"node_id":%q,"new_index":-1}`, item)), 400, "REORDER_INVALID"},
		{"NUL in a name", execute("CreateNode", `{"blueprint_type_id":"tree_item","name":"a\u0000b"}`), 400, "INVALID_REQUEST"},
		{"raw NUL", execute("CreateNode", "{\"blueprint_type_id\":\"tree_item\",\"name\":\"a\x00b\"}"), 400, "INVALID_REQUEST"},
		{"invalid UTF-8", execute("CreateNode", "{\"blueprint_type_id\":\"tree_item\",\"name\":\"a\xffb\"}"), 400, "INVALID_REQUEST"},
		{"half a character", execute("CreateNode", `{"blueprint_type_id":"tree_item","name":"\ud83d"}`), 400, "INVALID_REQUEST"},
		{"10,000 levels", execute("CreateNode", strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000)), 400, "INVALID_REQUEST"},
		{"10,000 open brackets", strings.Repeat("[", 10_000), 400, "INVALID_REQUEST"},
		{"5 MB", execute("CreateNode", `{"name":"`+strings.Repeat("x", 5<<20)+`"}`), 413, "PAYLOAD_TOO_LARGE"},
	} {
		requireClear(t, c.about, p.send(t, "POST", "/api/v1/commands/execute", c.body), c.status, c.code)
	}

	if after := p.state(t); after != before {
		t.Errorf("the session changed:\n%s\n%s", before, after)
	}
}

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

func TestAMissingSessionIsNamedInTheWordsThatClientsLookFor(t *testing.T) {
	t.Parallel()

	r := start(t).send(t, "GET", "/api/v1/sessions/"+uuid.NewString()+"/info", nil)

	if !strings.Contains(r.str("error", "message"), "Session not found") {
		t.Errorf("got %s", r.text)
	}
}

func TestBodiesOfAnotherKindAreRefused(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	body := object{"session_id": p.id, "command_type": "CreateNode", "data": object{"blueprint_type_id": "tree_item"}}
	for header, value := range map[string]string{
		"Content-Type":     "text/plain",
		"Content-Encoding": "gzip",
		"Idempotency-Key":  `"unfinished`,
		"X-Actor":          strings.Repeat("a", 129),
	} {
		requireClear(t, header, p.send(t, "POST", "/api/v1/commands/execute", body, header, value), 400, "INVALID_REQUEST")
	}
	if r := p.send(t, "POST", "/api/v1/commands/execute", body, "Content-Type", "application/vnd.api+json; charset=utf-8"); r.status != 200 {
		t.Errorf("a kind of JSON is refused: %s", r.text)
	}
}

func TestClientsThatAskForItGetProblemsByTheirMediaType(t *testing.T) {
	t.Parallel()
	s := start(t)

	plain := s.send(t, "GET", "/api/v1/nothing", nil)
	asked := s.send(t, "GET", "/api/v1/nothing", nil, "Accept", "application/problem+json")

	if got := plain.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("plain: %s", got)
	}
	if got := asked.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("asked: %s", got)
	}
}

func TestAPanicIsAnInternalErrorThatTellsNothing(t *testing.T) {
	t.Parallel()
	s := start(t)

	r := s.send(t, "GET", "/api/v1/panicking", nil)

	requireClear(t, "unknown", r, 404, "NOT_FOUND")
	r = s.send(t, "GET", "/api/v1/test-panic", nil)
	requireClear(t, "panic", r, 500, "INTERNAL_ERROR")
	if !strings.Contains(s.log.String(), "secret of") {
		t.Errorf("the cause is not in the log: %s", s.log)
	}
}

func TestWhatIsNoHTTPIsRefusedAsAProblem(t *testing.T) {
	t.Parallel()
	s := start(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	must(t, err)
	defer func() { _ = conn.Close() }()

	_, err = fmt.Fprintf(conn, "GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("y", 64<<10))
	must(t, err)

	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return // the server may end the connection before all of it was sent
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 400 || resp.StatusCode >= 500 || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
}

// piped hides the length of a body, so that it is sent in chunks.
type piped struct{ io.Reader }

func TestBodiesBeyondEveryLimitGetAnAnswerToo(t *testing.T) {
	t.Parallel()
	p := newPlan(t, startOn(t, "redis://"+miniredis.RunT(t).Addr(), httpapi.Config{Body: 1 << 10, LoadBody: 1 << 20}))
	for _, chunked := range []bool{false, true} {
		var body io.Reader = strings.NewReader(`{"graph":"` + strings.Repeat("x", 20<<20) + `"}`)
		if chunked {
			body = piped{body}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+p.path("/load-graph"), body)
		must(t, err)
		req.Header.Set("Content-Type", "application/json")

		resp, err := client(t).Do(req)

		must(t, err)
		text, err := io.ReadAll(resp.Body)
		if _ = resp.Body.Close(); err != nil || resp.StatusCode != 413 || !strings.Contains(string(text), "PAYLOAD_TOO_LARGE") {
			t.Errorf("chunked %t: got %s %s, %v", chunked, resp.Status, text, err)
		}
	}
	requireClear(t, "a body above the route's limit", p.send(t, "POST", p.path("/undo"), object{"x": strings.Repeat("x", 2000)}), 413, "PAYLOAD_TOO_LARGE")
}
