package edge_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

func TestRequestsOfAPollingClientMayComeToAnyEdge(t *testing.T) {
	t.Parallel()
	var edges []*edge.Edge
	for range 3 {
		e, _ := serve(t, edge.Config{})
		edges = append(edges, e)
	}
	plan := creates(t, redistest.URL(t))
	sid := polls(t, edges[0])
	at := func(i int, method, body string) string {
		t.Helper()
		status, answer := request(t, edges[i%3], method, "&sid="+sid, body)
		if status != http.StatusOK {
			t.Fatalf("request %d: %d %s", i, status, answer)
		}
		return answer
	}

	if got := at(1, http.MethodPost, "40/graph,"+plan.named("")); got != "ok" {
		t.Errorf("answered %q", got)
	}
	var heard strings.Builder
	for i := 2; !strings.Contains(heard.String(), `"session:connected"`); i++ { // it has its own time
		heard.WriteString(at(i, http.MethodGet, "") + "\x1e")
	}
	for i := 0; strings.Count(heard.String(), "node-created") < 40; i++ {
		plan.commitsEvents(1)
		heard.WriteString(at(i, http.MethodGet, "") + "\x1e")
	}
	if text := heard.String(); !strings.HasPrefix(text, "40/graph,") || strings.Count(text, `"version":40`) != 1 {
		t.Errorf("heard %.200s", text)
	}

	p := meets(t, edges[2], "&sid="+sid)
	p.says("2probe")
	p.hears("3probe")
	p.says("5")
	plan.commitsEvents(1)
	for got := p.event("graph:node-created"); got.Version < plan.at.Version; {
		got = p.event("graph:node-created")
	}
	if status, answer := request(t, edges[1], http.MethodGet, "&sid="+sid, ""); status != http.StatusBadRequest || !strings.Contains(answer, `"code":3`) {
		t.Errorf("a poll after the upgrade: %d %s", status, answer)
	}
}

func TestAForgedOwnerIsUnknownAndNeverDialled(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	dialled := make(chan struct{})
	go func() {
		if c, err := trap.Accept(); err == nil {
			_ = c.Close()
			close(dialled)
		}
	}()
	own := polls(t, e)

	for _, sid := range []string{trap.Addr().String(), "x", own[:12], own[:12] + strings.Repeat("A", 20), strings.Repeat("A", 32), strings.Repeat("B", 5000)} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status, body := request(t, e, method, "&sid="+sid, ""); status != http.StatusBadRequest || body != unknownSession {
				t.Errorf("%s of %.40q: %d %s", method, sid, status, body)
			}
		}
	}
	select {
	case <-dialled:
		t.Error("an address that a client made up was dialled")
	default:
	}
}

func TestARequestIsPassedOnOnce(t *testing.T) {
	t.Parallel()
	a, _ := serve(t, edge.Config{})
	b, _ := serve(t, edge.Config{})
	sid := polls(t, a)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL()+"/socket.io/?EIO=4&transport=polling&sid="+sid, strings.NewReader("6"))
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, req.Clone(t.Context())); status != http.StatusOK {
		t.Fatalf("without a mark: %d %s", status, body)
	}
	req.Body, req.ContentLength = http.NoBody, 0
	req.Header.Set("X-Talus-Hop", "1")

	if status, body := do(t, req); status != http.StatusBadRequest || body != unknownSession {
		t.Errorf("a request that was passed on is passed on again: %d %s", status, body)
	}
}

func TestTheSessionsOfADeadEdgeAreUnknown(t *testing.T) {
	t.Parallel()
	a, stop := serve(t, edge.Config{Drain: time.Millisecond})
	b, _ := serve(t, edge.Config{})
	sid := polls(t, a)
	if status, body := request(t, b, http.MethodPost, "&sid="+sid, "6"); status != http.StatusOK {
		t.Fatalf("while it lives: %d %s", status, body)
	}
	p := meets(t, b, "&sid="+sid)

	stop()

	if status, body := request(t, b, http.MethodGet, "&sid="+sid, ""); status != http.StatusBadRequest || body != unknownSession {
		t.Errorf("a poll: %d %s", status, body)
	}
	p.isSentAway()
}

func TestAWebSocketThatIsPassedOnIsAConnectionOfItsClient(t *testing.T) {
	t.Parallel()
	a, _ := serve(t, edge.Config{PerAddress: 1})
	b, _ := serve(t, edge.Config{})
	first, second := polls(t, b), polls(t, b)
	asks := func(sid string) (*websocket.Conn, int) {
		t.Helper()
		conn, res, err := websocket.Dial(t.Context(), a.URL()+"/socket.io/?EIO=4&transport=websocket&sid="+sid, nil)
		if res == nil {
			t.Fatal(err)
		}
		return conn, res.StatusCode
	}

	conn, status := asks(first)
	_, again := asks(second)

	if status != http.StatusSwitchingProtocols || again != http.StatusTooManyRequests {
		t.Fatalf("the first gets %d, another of the same address %d", status, again)
	}
	refused(t, a, "address", 1)
	_ = conn.CloseNow()
	eventually(t, "there is room again", func() bool {
		conn, status := asks(second)
		if conn != nil {
			_ = conn.CloseNow()
		}
		return status == http.StatusSwitchingProtocols
	})
}
