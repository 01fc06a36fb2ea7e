package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

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
