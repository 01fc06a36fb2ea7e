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
		if _ = resp.Body.Close(); err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(text), "PAYLOAD_TOO_LARGE") {
			t.Errorf("chunked %t: got %s %s, %v", chunked, resp.Status, text, err)
		}
	}
	requireClear(t, "a body above the route's limit", p.send(t, "POST", p.path("/undo"), object{"x": strings.Repeat("x", 2000)}), 413, "PAYLOAD_TOO_LARGE")
}
