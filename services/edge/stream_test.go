package edge_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

// ask sends a request for a stream with the given header fields.
func ask(t *testing.T, e *edge.Edge, method, query string, fields http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.URL()+"/sse?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = fields
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestPagesOfAllowedOriginsReadStreams(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Origins: []string{"https://talus.example"}})
	plan := creates(t, redistest.URL(t))
	ours, evil := http.Header{"Origin": {"https://talus.example"}}, http.Header{"Origin": {"https://evil.example"}}
	query := "session_id=" + plan.id.String()

	stream := ask(t, e, http.MethodGet, query, ours)
	unknown := ask(t, e, http.MethodGet, "session_id="+uuid.NewString(), ours)
	nothing := ask(t, e, http.MethodGet, "", ours)
	preflight := ask(t, e, http.MethodOptions, query, http.Header{
		"Origin": ours["Origin"], "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"last-event-id"},
	})
	refused := ask(t, e, http.MethodGet, query, evil)

	for _, c := range []struct {
		res    *http.Response
		status int
	}{{stream, 200}, {unknown, 404}, {nothing, 400}, {preflight, 204}} {
		h := c.res.Header
		if c.res.StatusCode != c.status || h.Get("Access-Control-Allow-Origin") != "https://talus.example" ||
			h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
			t.Errorf("answered %d %v, want %d", c.res.StatusCode, h, c.status)
		}
	}
	if h := preflight.Header; !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Last-Event-ID") {
		t.Errorf("preflight %v", h)
	}
	if refused.StatusCode != http.StatusForbidden || refused.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin is answered %d %v", refused.StatusCode, refused.Header)
	}
	var body struct {
		Error     struct{ Code, Message string }
		Status    int
		Retryable bool
	}
	if err := json.NewDecoder(unknown.Body).Decode(&body); err != nil || body.Error.Code != "INVALID_SESSION" || body.Status != 404 ||
		!strings.Contains(body.Error.Message, "Session not found") {
		t.Errorf("unknown session: %+v, %v", body, err)
	}
}

func TestAFullEdgeRefusesStreams(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Connections: 1})
	plan := creates(t, redistest.URL(t))
	read(t, plan.dial(e, ""))

	res := ask(t, e, http.MethodGet, "session_id="+plan.id.String(), nil)

	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("answer %d %v", res.StatusCode, res.Header)
	}
}

func TestADrainingEdgeEndsStreams(t *testing.T) {
	t.Parallel()
	e, stop := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	res := ask(t, e, http.MethodGet, "session_id="+plan.id.String(), nil)
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() && lines.Text() != "event: joined" {
		continue
	}

	stop()

	var last string
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			last = text
		}
	}
	var end struct {
		Type  string `json:"type"`
		Code  int    `json:"close_code"`
		After int    `json:"retry_after_ms"`
	}
	if err := json.Unmarshal([]byte(last), &end); err != nil || end.Type != "closed" || end.Code != 1012 || end.After > 1000 {
		t.Errorf("the stream ends with %s, %v (%v)", last, lines.Err(), err)
	}
}
