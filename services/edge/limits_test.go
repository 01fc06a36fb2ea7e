package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

// knocks asks for an upgrade and returns the connection, if it got one, and the answer.
func knocks(t *testing.T, e *edge.Edge, header http.Header) (*websocket.Conn, *http.Response) {
	t.Helper()
	conn, res, err := websocket.Dial(t.Context(), e.URL()+"/ws", &websocket.DialOptions{HTTPHeader: header})
	if res == nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, res
}

// endsWith reads until the end of the connection and compares its code.
func endsWith(t *testing.T, conn *websocket.Conn, code websocket.StatusCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				t.Errorf("closed with %d (%v), want %d", got, err, code)
			}
			return
		}
	}
}

// refused waits until the metric of refusals has counted n for the reason.
func refused(t *testing.T, e *edge.Edge, reason string, n int) {
	t.Helper()
	want := fmt.Sprintf("talus_edge_refused_total{reason=%q} %d\n", reason, n)
	eventually(t, want, func() bool { _, body := get(t, e.URL()+"/metrics"); return strings.Contains(body, want) })
}

func says(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	_ = conn.Write(t.Context(), websocket.MessageText, []byte(text)) // it may have been closed in the meantime
}

func TestPagesOfForeignOriginsAreRefusedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Origins: []string{"https://talus.example"}})
	for origin, want := range map[string]int{
		"https://talus.example": http.StatusSwitchingProtocols,
		e.URL():                 http.StatusSwitchingProtocols,
		"":                      http.StatusSwitchingProtocols, // a program
		"https://evil.example":  http.StatusForbidden,
		"null":                  http.StatusForbidden,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		if _, res := knocks(t, e, header); res.StatusCode != want {
			t.Errorf("origin %q: %d, want %d", origin, res.StatusCode, want)
		}
	}
	refused(t, e, "origin", 2)
}

func TestAFullEdgeRefusesConnections(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Connections: 1})
	plan := creates(t, redistest.URL(t))
	read(t, plan.dial(e, ""))

	_, res := knocks(t, e, nil)

	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("answer %v", res)
	}
	if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `"code":"UNAVAILABLE"`) || !strings.Contains(string(body), `"retryable":true`) {
		t.Errorf("body %s", body)
	}
	refused(t, e, "connections", 1)
}

func TestClientsBehindATrustedProxyAreCountedByTheirOwnAddress(t *testing.T) {
	t.Parallel()
	const ann, ben = "198.51.100.1", "198.51.100.2"
	for name, c := range map[string]struct {
		proxies string
		second  int // answer to the first connection of another client behind the same proxy
	}{
		"trusted":   {"127.0.0.0/8, ::1", http.StatusSwitchingProtocols},
		"untrusted": {"", http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := serve(t, edge.Config{PerAddress: 1, Proxies: c.proxies})
			from := func(client string) http.Header { return http.Header{"X-Forwarded-For": {"203.0.113.9, " + client}} }
			if _, res := knocks(t, e, from(ann)); res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("ann: %d", res.StatusCode)
			}
			eventually(t, "ann is counted", func() bool {
				_, body := get(t, e.URL()+"/metrics")
				return strings.Contains(body, "talus_connections 1\n")
			})

			if _, res := knocks(t, e, from(ann)); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
				t.Errorf("ann again: %d %v", res.StatusCode, res.Header)
			}
			if _, res := knocks(t, e, from(ben)); res.StatusCode != c.second {
				t.Errorf("ben: %d, want %d", res.StatusCode, c.second)
			}
			refused(t, e, "address", map[int]int{http.StatusSwitchingProtocols: 1, http.StatusTooManyRequests: 2}[c.second])
		})
	}
}

func TestAConnectionThatAsksTooOftenIsSentAway(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{MessageRate: 10, JoinRate: 1})
	chatter, hopper := dials(t, e), dials(t, e)

	for range 100 {
		says(t, chatter, `{"type":"ping"}`)
	}
	for range 18 { // 16 and one at once, and then one per second
		says(t, hopper, `{"type":"join","session_id":"`+uuid.NewString()+`"}`)
	}

	endsWith(t, chatter, 4101)
	endsWith(t, hopper, 4101)
	refused(t, e, "message_rate", 1)
	refused(t, e, "join_rate", 1)
}

func TestOtherLimitsOfAConnection(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{MaxMessage: 2048, Joins: 1})
	hasty, _ := serve(t, edge.Config{JoinWithin: 500 * time.Millisecond})
	first, second := creates(t, redistest.URL(t)), creates(t, redistest.URL(t))
	loud, idle, greedy := dials(t, e), dials(t, hasty), first.dial(e, "")
	read(t, greedy)

	says(t, loud, strings.Repeat("x", 2049))
	says(t, greedy, `{"type":"join","session_id":"`+second.id.String()+`"}`)

	endsWith(t, loud, 1009)
	endsWith(t, idle, 4008)
	if text, m := read(t, greedy); m.Type != "error" {
		t.Errorf("a session too many: %s", text)
	}
	refused(t, e, "message_size", 1)
	refused(t, hasty, "join_deadline", 1)
	refused(t, e, "sessions", 1)
}

func TestARequestThatDoesNotComeIsEnded(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Handshake: 200 * time.Millisecond})
	for name, beginning := range map[string]string{"silence": "", "half a request": "GET /ws HTTP/1.1\r\nHost: t\r\nUpgr"} {
		nc, err := net.Dial("tcp", strings.TrimPrefix(e.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = nc.Write([]byte(beginning))
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))

		if answer, err := io.ReadAll(nc); err != nil || len(answer) > 0 && !strings.Contains(string(answer), " 408 ") {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
	refused(t, e, "handshake", 1)
}

// dials opens a WebSocket that joins nothing.
func dials(t *testing.T, e *edge.Edge) *websocket.Conn {
	t.Helper()
	conn, res := knocks(t, e, nil)
	if conn == nil {
		t.Fatalf("answer %v", res)
	}
	return conn
}

func TestASocketIOClientThatJoinsNoSessionInTimeIsSentAway(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{JoinWithin: 3 * time.Second})
	plan := creates(t, redistest.URL(t))
	stays := connects(t, e, "")
	stays.says(`42/graph,["join_session",` + plan.named("") + `]`)
	stays.event("session-connected")
	stays.event("joined")

	silent, idle, leaver := meets(t, e, ""), connects(t, e, ""), connects(t, e, "")
	leaver.says(`41/graph,`)
	again := connects(t, e, "")

	silent.hears("0{")
	silent.isSentAway()
	if told := idle.event("error"); told.Message != "no session was joined in time" {
		t.Errorf("told %+v", told)
	}
	idle.isSentAway()
	again.event("error")
	again.isSentAway()
	refused(t, e, "join_deadline", 2)
	stays.says(`42/graph,["ping"]`)
	stays.hears(`42/graph,["pong"]`)
	leaver.says(`40/graph,`) // its first time is over with its first connection
	leaver.connected()
}

func TestSocketIOClientsAreToldTheLimitThatHolds(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{MaxPayload: 2048})
	sid := polls(t, e)
	loud := meets(t, e, "")

	if open := loud.hears("0{"); !strings.Contains(open, `"maxPayload":2048}`) {
		t.Errorf("told %s", open)
	}
	if status, body := request(t, e, http.MethodPost, "&sid="+sid, "4"+strings.Repeat("x", 2048)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 2,049 bytes: %d %s", status, body)
	}
	if status, body := request(t, e, http.MethodPost, "&sid="+sid, "6"+strings.Repeat("x", 2047)); status != http.StatusOK {
		t.Errorf("a body of 2,048 bytes: %d %s", status, body)
	}
	_ = loud.conn.Write(t.Context(), websocket.MessageText, []byte("4"+strings.Repeat("x", 2048)))
	endsWith(t, loud.conn, 1009)
}

func TestPagesOfForeignOriginsGetNoSessionOfSocketIO(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Origins: []string{"https://talus.example"}})
	sid := polls(t, e)
	asks := func(query string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL()+"/socket.io/?EIO=4&transport=polling"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://evil.example")
		status, _ := do(t, req)
		return status
	}

	if first, later := asks(""), asks("&sid="+sid); first != http.StatusForbidden || later != http.StatusForbidden {
		t.Errorf("answered %d and %d", first, later)
	}

	refused(t, e, "origin", 2)
}
