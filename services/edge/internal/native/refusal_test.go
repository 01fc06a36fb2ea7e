package native_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/native"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

func TestAnUnknownSessionIsRefused(t *testing.T) {
	t.Parallel()
	e := serve(t)
	nobody := uuid.New()

	ann := e.dials(nil)
	ann.says(`{"type":"join","id":"1","session_id":"%s"}`, nobody)
	if m := ann.refused(wire.InvalidSession, `"1"`); !strings.Contains(m.Message, "Session not found") {
		t.Errorf("message %q", m.Message)
	}
	ann.says(`{"type":"ping","id":"2"}`)
	ann.hears("pong")

	byURL := e.dials(url.Values{"session_id": {nobody.String()}})
	byURL.refused(wire.InvalidSession, "")
	byURL.isSentAway(wire.CloseNoSession)

	nonsense := e.dials(url.Values{"session_id": {"plan"}})
	nonsense.refused(wire.InvalidSession, "")
	nonsense.isSentAway(wire.CloseNoSession)

	badAfter := e.dials(url.Values{"session_id": {nobody.String()}, "after": {"yesterday"}})
	badAfter.refused(wire.InvalidRequest, "")
	badAfter.isSentAway(wire.CloseProtocol)
}

func TestBadRequestsGetAnErrorAndKeepTheConnection(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan := e.creates()
	ann := e.dials(nil)
	for _, c := range []struct{ text, id string }{
		{`{}`, ""},
		{`{"type":"dance","id":"1"}`, `"1"`},
		{`{"type":7,"id":"1"}`, `"1"`},
		{`{"type":"join","id":"1"}`, `"1"`},
		{`{"type":"join","id":"1","SESSION_ID":"018f3c5e-0000-7000-8000-000000000000"}`, `"1"`}, // members are case-exact
		{`{"Type":"ping","id":"1"}`, `"1"`},
		{`{"type":"join","id":"1","session_id":5}`, `"1"`},
		{`{"type":"join","id":"1","session_id":"` + plan.id.String() + `","after":"1.2.3"}`, `"1"`},
		{`{"type":"join","id":"1","session_id":"` + plan.id.String() + `","after":"soon"}`, `"1"`},
		{`{"type":"join","id":"1","session_id":"` + plan.id.String() + `","after":-1}`, `"1"`},
		{`{"type":"join","id":"1","session_id":"` + plan.id.String() + `","after":true}`, `"1"`},
		{`{"type":"join","id":"1","session_id":"` + plan.id.String() + `","after":1,"epoch":"zz"}`, `"1"`},
		{`{"type":"leave","id":"1","session_id":"` + plan.id.String() + `"}`, `"1"`},
		{`{"type":"leave","id":"1"}`, `"1"`},
		{`{"type":"ping","id":{"a":1}}`, ""},
		{`{"type":"ping","id":"` + longText(300) + `"}`, ""},
	} {
		ann.says("%s", c.text)
		ann.refused(wire.InvalidRequest, c.id)
	}
	ann.says(`{"type":"join","id":"9","session_id":"not-an-id"}`)
	ann.refused(wire.InvalidSession, `"9"`)
	ann.says(`{"type":"ping","id":null}`)
	ann.hears("pong")
}

func TestGarbageEndsTheConnection(t *testing.T) {
	t.Parallel()
	e := serve(t)
	for _, text := range []string{"", "hello", "[1]", `"x"`, `{"type":"ping"`, strings.Repeat(`{"a":`, 500)} {
		ann := e.dials(nil)
		ann.says("%s", text)
		ann.refused(wire.InvalidRequest, "")
		ann.isSentAway(wire.CloseProtocol)
	}
	large := e.dials(nil)
	large.says(`{"type":"ping","id":"%s"}`, longText(5000))
	large.isSentAway(wire.CloseTooBig)
}

func TestAConnectionJoinsNoMoreSessionsThanAllowed(t *testing.T) {
	t.Parallel()
	e := serve(t)
	ann := e.dials(nil)
	first := e.creates()
	ann.joins(first, "1")
	ann.joins(e.creates(), "2")
	ann.joins(e.creates(), "3")
	fourth := e.creates()

	ann.says(`{"type":"join","id":"4","session_id":"%s"}`, fourth.id)
	ann.refused(wire.InvalidRequest, `"4"`)
	if reason := <-e.refused; reason != "sessions" {
		t.Errorf("counted as %s", reason)
	}
	ann.says(`{"type":"leave","id":"5","session_id":"%s"}`, first.id)
	ann.hears("left")
	ann.joins(fourth, "6")
}

func TestAConnectionThatJoinsTooOftenIsSentAway(t *testing.T) {
	t.Parallel()
	e := serveWithin(t, native.Limits{Joins: rate.Limit{PerSecond: 1, Burst: 2}}, socket.Limits{})
	plan := e.creates()
	ann := e.dials(nil)
	ann.joins(plan, "1")
	ann.joins(plan, "2") // again is a join, too

	ann.says(`{"type":"join","id":"3","session_id":"%s"}`, plan.id)

	ann.refused(wire.RateLimited, `"3"`)
	ann.isSentAway(wire.CloseRateLimited)
	if reason := <-e.refused; reason != "join_rate" {
		t.Errorf("counted as %s", reason)
	}
}

func TestADrainingHandlerRefusesJoinsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	e := serve(t)
	plan, other := e.creates(), e.creates()
	ann := e.dials(nil)
	ann.joins(plan, "1")

	e.handler.Drain()
	ann.says(`{"type":"join","id":"2","session_id":"%s"}`, other.id)

	ann.refused(wire.Unavailable, `"2"`)
	if reason := <-e.refused; reason != "draining" {
		t.Errorf("counted as %s", reason)
	}
	plan.commits(1)
	ann.hearsCommits(plan, 1, 1)
	ann.says(`{"type":"leave","id":"3","session_id":"%s"}`, plan.id)
	ann.hears("left")
}

// A client that cannot join because of the server keeps its connection for as long as it tries.
func TestWhoseJoinsFailOnThisSideIsNotSentAwayForNotJoining(t *testing.T) {
	t.Parallel()
	const within = 400 * time.Millisecond
	e := serveWithin(t, native.Limits{}, socket.Limits{JoinWithin: within})
	plan := e.creates()
	e.endRooms() // whoever asks for one is told that it is not available
	began := time.Now()
	ann := e.dials(nil)

	for time.Since(began) < 3*within {
		ann.says(`{"type":"join","id":"1","session_id":"%s"}`, plan.id)
		ann.refused(wire.Unavailable, `"1"`)
	}

	ann.isSentAway(wire.CloseProtocol) // it has ceased to try
}

func TestAnotherSubprotocolIsRefused(t *testing.T) {
	t.Parallel()
	e := serve(t)
	_, res, err := websocket.Dial(t.Context(), e.url, &websocket.DialOptions{Subprotocols: []string{"mqtt"}})
	if err == nil || res == nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("answer %v, error %v", res, err)
	}
}
