package edge_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge"
)

const unknownSession = `{"code":1,"message":"Session ID unknown"}`

// commitsEvents appends one commit of n events that are numbered.
func (s *session) commitsEvents(n int) {
	s.t.Helper()
	events := make([]wire.Event, n)
	for i := range events {
		events[i] = wire.Event{Name: wire.NodeCreated, Fields: fmt.Appendf(nil, `"n":%d`, i+1)}
	}
	delta := wire.AppendDelta(nil, wire.Delta{})
	rec := wire.Build(wire.Header{
		Session: s.id, Command: uuid.New(), Epoch: s.at.Epoch, Version: s.at.Version + 1, Prev: s.at.Digest, Time: time.Now().UnixMilli(),
	}, fmt.Appendf(nil, `"session_id":"%s"`, s.id), events, delta)
	at, err := s.log.Commit(s.t.Context(), eventlog.Commit{Session: s.id, Base: s.at, Record: rec, Delta: delta})
	if err != nil {
		s.t.Fatal(err)
	}
	s.at = at
}

func TestAClientJoinsBySayingSoWhenItConnects(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))

	ann := connects(t, e, plan.named(""))
	own := ann.event("session:connected")
	plan.commitsEvents(2)
	first, second := ann.event("graph:node-created"), ann.event("graph:node-created")

	if own.Client != ann.id || own.Count != 1 || own.Session != plan.id.String() || ann.pid != "" {
		t.Errorf("told %+v, connected as %s %s", own, ann.id, ann.pid)
	}
	if first.Version != 1 || first.Number != 1 || second.Number != 2 || first.Offset != "" {
		t.Errorf("got %+v and %+v", first, second)
	}
}

func TestAClientJoinsAndLeavesByEvents(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan, other := creates(t, redistest.URL(t)), creates(t, redistest.URL(t))
	ann := connects(t, e, "")
	ben := connects(t, e, "{}")
	join := func(p *peer, s *session, clients int) {
		t.Helper()
		p.says(fmt.Sprintf(`42/graph,["join_session",{"session_id":"%s"}]`, s.id))
		if own := p.event("session-connected"); own.Client != p.id || own.Count != clients {
			t.Errorf("told of %+v", own)
		}
		if joined := p.event("joined"); joined.Client != p.id || joined.Active != clients || joined.Session != s.id.String() {
			t.Errorf("joined %+v", joined)
		}
	}

	join(ann, plan, 1)
	join(ann, other, 1)
	join(ben, plan, 2)
	if came := ann.event("session-connected"); came.Client != ben.id || came.Count != 2 {
		t.Errorf("told of %+v", came)
	}
	plan.commits(1)
	ann.event("node-created")
	ben.event("node-created")
	ben.says(fmt.Sprintf(`42/graph,["leave_session",{"session_id":"%s"}]`, plan.id))
	if left := ben.event("left"); left.Client != ben.id || left.Session != plan.id.String() {
		t.Errorf("left %+v", left)
	}
	if went := ann.event("session-disconnected"); went.Client != ben.id || went.Count != 1 {
		t.Errorf("told of %+v", went)
	}
	plan.commits(1)
	other.commits(1)
	versions := map[string]uint64{} // sessions have no order among them
	for range 2 {
		got := ann.event("node-created")
		versions[got.Session] = got.Version
	}
	if versions[plan.id.String()] != 2 || versions[other.id.String()] != 1 {
		t.Errorf("got %v", versions)
	}
	ben.says(`42/graph,["ping"]`) // what has left gets nothing
	ben.hears(`42/graph,["pong"]`)
}

func TestRequestsThatCannotBeServedAreErrorsAndNotTheEnd(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Joins: 1})
	plan := creates(t, redistest.URL(t))
	for auth, want := range map[string]string{
		`{"session_id":""}`:                              `{"message":"session_id required"}`,
		`{"token":"x"}`:                                  `{"message":"session_id required"}`,
		`{"session_id":5}`:                               `{"message":"session_id required"}`,
		`{"session_id":"x"}`:                             `{"message":"Session not found: x","data":{"error":{"code":"INVALID_SESSION"`,
		fmt.Sprintf(`{"session_id":"%s"}`, uuid.Nil):     `{"message":"Session not found: 00000000-0000-0000-0000-000000000000","data":{`,
		fmt.Sprintf(`{"session_id":"%s"}`, uuid.Max):     `{"message":"Session not found: ffffffff-ffff-ffff-ffff-ffffffffffff","data":{`,
		fmt.Sprintf(`{"session_id":"{%s}"}`, uuid.New()): `{"message":"Session not found: {`,
	} {
		p := meets(t, e, "")
		p.hears("0{")
		p.says("40/graph," + auth)
		p.hears("44/graph," + want)
		p.says("40/graph," + plan.named("")) // again, and better
		p.connected()
	}

	ann := connects(t, e, "")
	for text, code := range map[string]string{
		`42/graph,["join_session"]`:                                              "INVALID_REQUEST",
		`42/graph,["join_session",{}]`:                                           "INVALID_REQUEST",
		fmt.Sprintf(`42/graph,["join_session",{"Session_ID":"%s"}]`, plan.id):    "INVALID_REQUEST",
		`42/graph,["leave_session",{"session_id":7}]`:                            "INVALID_REQUEST",
		fmt.Sprintf(`42/graph,["join_session",{"session_id":"%s"}]`, uuid.New()): "INVALID_SESSION",
		`42/graph,["join_session",{"session_id":"here"}]`:                        "INVALID_SESSION",
	} {
		ann.says(text)
		if got := ann.event("error"); got.Code != code || got.Message == "" {
			t.Errorf("%s: %+v", text, got)
		}
	}
	ann.says(`42/graph,["join_session",null]`)
	if got := ann.event("error"); got.Message != "Missing session_id" {
		t.Errorf("%+v", got)
	}
	ann.says(fmt.Sprintf(`42/graph,1["join_session",{"session_id":"%s"}]`, plan.id))
	ann.hears(fmt.Sprintf(`43/graph,1[{"session_id":"%s","client_id":"%s","active_clients":`, plan.id, ann.id))
	ann.event("session-connected")
	ann.event("joined")
	ann.says(fmt.Sprintf(`42/graph,2["join_session",{"session_id":"%s"}]`, creates(t, redistest.URL(t)).id))
	ann.event("error")
	ann.hears(`43/graph,2[{"message":"too many sessions`)
	ann.says(`42/graph,4["command",{"session_id":"` + plan.id.String() + `","command_type":"x","data":{},"actor":"a\nb"}]`)
	ann.hears(`43/graph,4[{"error":{"code":"INVALID_REQUEST"`)
	ann.says(`42/graph,3["whatever",1,2]`)
	ann.hears(`43/graph,3[]`)
}

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

func TestADrainSendsSocketIOClientsAwayWithTheirTransport(t *testing.T) {
	t.Parallel()
	e, stop := serve(t, edge.Config{Drain: 2 * time.Second})
	b, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := connects(t, e, plan.named(""))
	poller, tunnelled := polls(t, e), polls(t, e)
	through := meets(t, b, "&sid="+tunnelled)
	through.says("2probe")
	through.hears("3probe")
	through.says("5")
	polled := make(chan string, 1)
	go func() {
		_, body := request(t, e, http.MethodGet, "&sid="+poller, "")
		polled <- body
	}()

	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()

	ann.isSentAway()
	through.isSentAway()
	if body := <-polled; body != "1" {
		t.Errorf("the poll was answered %q", body)
	}
	<-stopped
}

func TestWhoIsBehindAHoleComesBackAnew(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := connects(t, e, plan.named(""))
	ann.event("session:connected")

	if err := plan.commit(t.Context(), 1<<20+1); err != nil {
		t.Fatal(err)
	}

	if got := ann.event("session:resync"); got.Reason != "large" || got.Version != 1 {
		t.Errorf("told %+v", got)
	}
	ann.isSentAway()
}

func TestTheEndOfASessionIsTheEndForItsClients(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := connects(t, e, plan.named(""))
	ann.event("session:connected")
	ben := connects(t, e, "")
	ben.says(fmt.Sprintf(`42/graph,["join_session",{"session_id":"%s"}]`, plan.id))
	ben.event("session-connected")
	ben.event("joined")
	ann.event("session:connected")

	if err := plan.log.Delete(t.Context(), plan.id, nil); err != nil {
		t.Fatal(err)
	}

	if got := ann.event("error"); got.Code != "INVALID_SESSION" || !strings.Contains(got.Message, "Session not found") {
		t.Errorf("told %+v", got)
	}
	ann.hears("41/graph,") // there is nothing to come back for
	if got := ben.event("error"); got.Code != "INVALID_SESSION" || got.Session != "" {
		t.Logf("told %+v", got)
	}
	ben.says(`42/graph,["ping"]`)
	ben.hears(`42/graph,["pong"]`)
}

func TestTooManyJoinsEndTheTransport(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{JoinRate: 1})
	ann := connects(t, e, "")

	for range 40 {
		if ann.conn.Write(context.WithoutCancel(t.Context()), 1, fmt.Appendf(nil, `42/graph,["join_session",{"session_id":"%s"}]`, uuid.New())) != nil {
			break
		}
	}

	ann.isSentAway()
}

func TestSessionsOfSocketIOAreMeasured(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	sid := polls(t, e)
	if status, body := request(t, e, http.MethodPost, "&sid="+sid, "40/graph,"); status != http.StatusOK {
		t.Fatalf("connect: %d %s", status, body)
	}
	if status, body := request(t, e, http.MethodGet, "&sid="+sid, ""); status != http.StatusOK {
		t.Fatalf("poll: %d %s", status, body)
	}
	p := meets(t, e, "&sid="+sid)
	p.says("2probe")
	p.hears("3probe")
	p.says("5")
	p.says("42/graph,[\"ping\"]")
	p.hears("42/graph,[\"pong\"]")
	if status, _ := request(t, e, http.MethodGet, "&sid=nobody", ""); status != http.StatusBadRequest {
		t.Fatalf("an unknown session: %d", status)
	}

	_, body := get(t, e.URL()+"/metrics")
	for _, want := range []string{
		"sessions 1", "sessions_opened_total 1", "upgrades_total 1", "polls_total 1", "posts_total 1", "errors_total 1",
		"violations_total 0", "silent_closes_total 0",
	} {
		if !strings.Contains(body, "\ntalus_engineio_"+want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
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
