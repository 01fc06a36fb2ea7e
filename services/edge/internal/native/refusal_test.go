package native_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
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
	ann.says(`{"type":"leave","id":"5","session_id":"%s"}`, first.id)
	ann.hears("left")
	ann.joins(fourth, "6")
}

func TestAnotherSubprotocolIsRefused(t *testing.T) {
	t.Parallel()
	e := serve(t)
	_, res, err := websocket.Dial(t.Context(), e.url, &websocket.DialOptions{Subprotocols: []string{"mqtt"}})
	if err == nil || res == nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("answer %v, error %v", res, err)
	}
}
