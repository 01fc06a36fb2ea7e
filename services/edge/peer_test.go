package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/services/edge"
)

// peer is a Socket.IO client on a WebSocket, packet by packet.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
	id   string // in the namespace
	pid  string
}

// meets opens a WebSocket of Socket.IO on an edge; query is more than a new session needs.
func meets(t *testing.T, e *edge.Edge, query string) *peer {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), e.URL()+"/socket.io/?EIO=4&transport=websocket"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(16 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &peer{t: t, conn: conn}
}

// connects opens a WebSocket and connects to the namespace with auth, a JSON text or empty.
func connects(t *testing.T, e *edge.Edge, auth string) *peer {
	t.Helper()
	p := meets(t, e, "")
	p.hears("0{")
	p.says("40/graph," + auth)
	p.connected()
	return p
}

// connected reads the answer to CONNECT.
func (p *peer) connected() {
	p.t.Helper()
	var answer struct{ SID, PID string }
	if err := json.Unmarshal([]byte(p.hears("40/graph,")), &answer); err != nil || answer.SID == "" {
		p.t.Fatalf("connected with %+v, %v", answer, err)
	}
	p.id, p.pid = answer.SID, answer.PID
}

func (p *peer) says(text string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// next reads a packet; pings are answered.
func (p *peer) next() (string, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, text, err := p.conn.Read(ctx)
		if err != nil || string(text) != "2" {
			return string(text), err
		}
		p.says("3")
	}
}

// hears reads a packet that begins so and returns the rest of it.
func (p *peer) hears(prefix string) string {
	p.t.Helper()
	text, err := p.next()
	rest, ok := strings.CutPrefix(text, prefix)
	if err != nil || !ok {
		p.t.Fatalf("heard %.300q, %v; want %s…", text, err, prefix)
	}
	return rest
}

// told is what a peer reads in an event.
type told struct {
	Session string `json:"session_id"`
	Client  string `json:"client_id"`
	Count   int    `json:"client_count"`
	Active  int    `json:"active_clients"`
	Version uint64
	Number  int `json:"n"`
	Message string
	Code    string
	Reason  string
	Offset  string `json:"-"`
}

// event reads an event of that name.
func (p *peer) event(name string) told {
	p.t.Helper()
	var what told
	var offset string
	rest := strings.TrimSuffix(p.hears(`42/graph,["`+name+`",`), "]")
	object := rest[:strings.LastIndexByte(rest, '}')+1]
	if err := json.Unmarshal([]byte(object), &what); err != nil {
		p.t.Fatalf("%s: %v", rest, err)
	}
	if tail := strings.TrimPrefix(rest[len(object):], ","); tail != "" {
		if err := json.Unmarshal([]byte(tail), &offset); err != nil {
			p.t.Fatalf("%s: %v", rest, err)
		}
	}
	what.Offset = offset
	return what
}

// isSentAway reads until the transport ends, and fails on a packet that would keep the client from coming back.
func (p *peer) isSentAway() {
	p.t.Helper()
	for {
		text, err := p.next()
		if err != nil {
			if p.t.Context().Err() != nil || strings.Contains(err.Error(), "deadline") {
				p.t.Fatalf("still there: %v", err)
			}
			return
		}
		if strings.HasPrefix(text, "41") || strings.HasPrefix(text, "44") {
			p.t.Fatalf("sent away with %s", text)
		}
	}
}

// request sends a request of a polling client.
func request(t *testing.T, e *edge.Edge, method, query, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.URL()+"/socket.io/?EIO=4&transport=polling"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	return do(t, req)
}

// polls begins a session over polling and returns its id.
func polls(t *testing.T, e *edge.Edge) string {
	t.Helper()
	status, body := request(t, e, http.MethodGet, "", "")
	var open struct{ SID string }
	if status != http.StatusOK || len(body) == 0 || json.Unmarshal([]byte(body[1:]), &open) != nil {
		t.Fatalf("handshake: %d %s", status, body)
	}
	return open.SID
}

// named is auth for the planned dialect.
func (s *session) named(more string) string { return fmt.Sprintf(`{"session_id":"%s"%s}`, s.id, more) }
