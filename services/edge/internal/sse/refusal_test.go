package sse_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// refused reads the body of a refusal.
func (l *listener) refused(status int, code string) message {
	l.t.Helper()
	body, err := io.ReadAll(l.res.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		l.t.Fatalf("%d %s: %v", l.res.StatusCode, body, err)
	}
	if l.res.StatusCode != status || m.Code != code || m.Message == "" {
		l.t.Errorf("answered %d %s, want %d %s", l.res.StatusCode, body, status, code)
	}
	return m
}

func TestARequestThatIsNoGoodIsAnsweredBeforeAStreamBegins(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		cfg.Admit = func(c *fiber.Ctx) error {
			if c.Get("Origin") == "http://evil" {
				return fiber.ErrForbidden
			}
			return nil
		}
		e := serve(t, cfg)
		nobody := "session_id=" + uuid.NewString()

		unknown := e.asks(nobody)
		if h := unknown.res.Header; h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Before") != "kept" || !unknown.res.Close {
			t.Errorf("answer %+v", unknown.res)
		}
		if m := unknown.refused(http.StatusNotFound, "INVALID_SESSION"); !strings.Contains(m.Message, "Session not found") {
			t.Errorf("message %q", m.Message)
		}
		unknown.ends()
		e.asks("session_id=plan").refused(http.StatusNotFound, "INVALID_SESSION")
		e.asks("session_id=").refused(http.StatusBadRequest, "INVALID_REQUEST")
		if l := e.asks(nobody, "Origin: http://evil"); l.res.StatusCode != http.StatusForbidden {
			t.Errorf("a foreign origin is answered %d", l.res.StatusCode)
		}
		if n := e.metric("talus_sse_refusals_total"); n != 3 {
			t.Errorf("%v refusals are counted", n)
		}
		if n := e.sockets.Stats().Connections; n != 0 {
			eventually(t, "no connection is left", func() bool { return e.sockets.Stats().Connections == 0 })
		}
	})
}

func TestOnlyGETReadsAStream(t *testing.T) {
	t.Parallel()
	e := serve(t, socket.Config{})
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodDelete} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+e.addr+"/sse?session_id="+uuid.NewString(), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
			t.Errorf("%s is answered %d %v", method, res.StatusCode, res.Header)
		}
	}
}

// farewell is how a drain of these tests ends.
func farewell() string { return `{"retry_after_ms":432}` }

func TestADrainTellsClientsWhenToComeBack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		e := serve(t, cfg)
		plan := e.creates()
		ann := e.listens(plan, "")
		ann.hears("joined")
		plan.commits(20, "x")
		ann.hearsCommits(1, 20)

		if err := e.sockets.Drain(t.Context(), 0, 1012, farewell); err != nil {
			t.Error(err)
		}

		ev, m := ann.hears("closed")
		if ev.retry != "432" || m.RetryAfter != 432 || m.CloseCode != 1012 || m.Code != "UNAVAILABLE" || !m.Retryable || m.Session != plan.id {
			t.Errorf("closed %+v", ev)
		}
		ann.ends()
		late := e.asks("session_id=" + plan.id.String())
		if late.res.StatusCode != http.StatusServiceUnavailable || late.res.Header.Get("Retry-After") == "" {
			t.Errorf("a request in the drain is answered %d %v", late.res.StatusCode, late.res.Header)
		}
	})
}

// slow is a hub whose rooms answer when they are told to.
type slow struct{ joins chan hub.Client }

func (s slow) Join(_ uuid.UUID, _ hub.After, format hub.Format, client hub.Client) *hub.Subscription {
	if format == hub.EventStream {
		s.joins <- client
	}
	return new(hub.Subscription)
}

// serveSlow runs an edge whose rooms wait.
func serveSlow(t *testing.T, cfg socket.Config) (*edge, slow) {
	t.Helper()
	e := &edge{t: t, registry: prometheus.NewRegistry()}
	rooms := slow{make(chan hub.Client, 10)}
	t.Cleanup(e.listen(cfg, rooms, nil))
	return e, rooms
}

func TestARoomThatCannotAnswerIsARefusal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end    func(e *edge, client hub.Client)
		status int
		code   string
	}{
		"the log cannot be read": {func(_ *edge, c hub.Client) { c.Ended(hub.ErrUnavailable) }, 503, "UNAVAILABLE"},
		"the session is lost":    {func(_ *edge, c hub.Client) { c.Ended(hub.ErrLost) }, 404, "INVALID_SESSION"},
		"the instance goes away": {func(e *edge, _ hub.Client) { _ = e.sockets.Drain(e.t.Context(), 0, 1012, farewell) }, 503, "UNAVAILABLE"},
		"too many from there":    {func(_ *edge, c hub.Client) { c.Ended(nil) }, 503, "UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := socket.Config{BeatEvery: 20 * time.Millisecond}
			if name == "too many from there" {
				cfg.Limits.JoinWithin = 300 * time.Millisecond
			}
			e, rooms := serveSlow(t, cfg)
			l := e.dial("GET /sse?session_id=" + uuid.NewString() + " HTTP/1.1\r\nHost: t\r\n\r\n")
			client := <-rooms.joins
			eventually(t, "beats would be due", func() bool { return e.sockets.Stats().Pings >= 2 })

			go c.end(e, client)

			res, err := http.ReadResponse(l.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			l.res = res
			l.refused(c.status, c.code)
			if after, _ := strconv.Atoi(res.Header.Get("Retry-After")); (c.status == 503) != (after > 0) {
				t.Errorf("Retry-After %d with %d", after, c.status)
			}
			l.ends()
		})
	}
}
