package engineio_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

func TestAClientThatClosesGetsANoop(t *testing.T) {
	t.Parallel()

	t.Run("for the pending poll", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		p := serve(t, engineio.Config{}, h).Opens()
		pending := p.Polls()

		p.Says("1")

		p.Wants(<-pending, 200, "6")
		if err := <-h.ends; !errors.Is(err, engineio.ErrLeft) {
			t.Errorf("ended with %v", err)
		}
		p.Wants(p.Get(), 400, engineiotest.Unknown)
	})
	t.Run("for one poll that was on its way", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		p := serve(t, engineio.Config{}, h).Opens()

		p.Says("1")

		p.Wants(p.Get(), 200, "6")
		p.Wants(p.Get(), 400, engineiotest.Unknown)
		p.Wants(p.Post("4x"), 400, engineiotest.Unknown)
		<-h.ends
	})
	t.Run("and what it says after that does not count", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		h.message = func(*engineio.Session, []byte) { t.Error("a message came after the close") }
		p := serve(t, engineio.Config{}, h).Opens()

		p.Says("1", "4x")

		<-h.ends
	})
	t.Run("but over a WebSocket a close frame", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		w := serve(t, engineio.Config{}, h).OpensWebSocket()

		w.Says("1")

		w.IsClosed(engineiotest.NoStatus)
		_ = w.NC.Close()
		<-h.ends
	})
}

func TestAServerThatClosesSaysSo(t *testing.T) {
	t.Parallel()

	t.Run("to the pending poll", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		p := serve(t, engineio.Config{}, h).Opens()
		pending := p.Polls()

		(<-h.sessions).Close()

		p.Wants(<-pending, 200, "1")
		<-h.ends
		p.Wants(p.Get(), 400, engineiotest.Unknown)
	})
	t.Run("to the next poll, after what was sent", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		p := serve(t, engineio.Config{}, h).Opens()
		s := <-h.sessions

		says(s, "one", "two")
		s.Close()

		p.Wants(p.Post("4x"), 400, engineiotest.Unknown)
		p.Wants(p.Get(), 200, "4one\x1e4two\x1e1")
		p.IsOver()
	})
	t.Run("to nobody, if nobody asks", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		p := engineiotest.Serve(t, socket.Config{CollectWithin: 50 * time.Millisecond, StallAfter: 20 * time.Millisecond}, engineio.Config{}, h).Opens()

		(<-h.sessions).Close()

		<-h.ends
		p.Wants(p.Get(), 400, engineiotest.Unknown)
	})
	t.Run("to a WebSocket with a close frame", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		w := serve(t, engineio.Config{}, h).OpensWebSocket()
		s := <-h.sessions

		says(s, "last")
		s.Close()

		w.Hears("4last")
		w.IsClosed(engineiotest.NoStatus)
	})
}

func TestAClientOfPythonIsSentAwayWithAnErrorWhilePolling(t *testing.T) {
	t.Parallel()
	of := func(h host, query, agent string) (engineiotest.Poller, *engineio.Session) {
		sys := serve(t, engineio.Config{}, h)
		a := sys.Do("GET", query, "", "User-Agent", agent)
		return engineiotest.Poller{System: sys, ID: sid(t, a.Body)}, <-h.sessions
	}

	python := func(h host) (engineiotest.Poller, *engineio.Session) {
		return of(h, "EIO=4&transport=polling", "python-requests/2.28.1")
	}
	h := newHost()
	for _, client := range []struct {
		query, agent string
		status       int
	}{
		{"transport=polling&EIO=4&t=1", "an application's own", 400},
		{"EIO=4&transport=polling&t=1", "Python/3.11 aiohttp/3.8.4", 400},
		{"EIO=4&transport=polling&t=1", "node-XMLHttpRequest", 200},
		{"EIO=4&transport=polling&t=1", "", 200},
	} {
		p, s := of(h, client.query, client.agent)
		s.Close()
		if a := p.Get(); a.Status != client.status {
			t.Errorf("%+v: sent away with %d %s", client, a.Status, a.Body)
		}
		<-h.ends
	}

	p, s := python(h)
	says(s, "last")
	s.Close()
	p.Wants(p.Get(), 200, "4last")
	p.Wants(p.Get(), 400, engineiotest.Unknown)
	<-h.ends

	p, s = python(h)
	pending := p.Polls()
	s.Close()
	p.Wants(<-pending, 400, engineiotest.Unknown)
	<-h.ends

	p, s = python(h)
	pending = p.Polls()
	s.Conn().Fail(socket.ErrSlow)
	p.Wants(<-pending, 400, engineiotest.Unknown)
	<-h.ends

	p, s = python(h)
	s.Reject() // who breaks the protocol need not come back
	p.Wants(p.Get(), 200, "1")
	<-h.ends
}

func TestASessionThatIsNotPutToUseEnds(t *testing.T) {
	t.Parallel()
	h := newHost()
	var deadline *engineio.Alarm // of the last session
	h.open = func(s *engineio.Session) { deadline = s.After(30*time.Millisecond, s.Close) }
	h.message = func(s *engineio.Session, p []byte) { deadline.Stop(); _ = s.Send(engineio.AppendMessage(nil, p)) }
	sys := serve(t, engineio.Config{}, h)

	p := sys.Opens()
	p.Wants(p.Get(), 200, "1")
	sys.OpensWebSocket().IsClosed(engineiotest.NoStatus)
	<-h.ends

	used := sys.OpensWebSocket()
	used.Says("4mine")
	used.Hears("4mine")
	<-time.After(60 * time.Millisecond)
	used.Says("4still here")
	used.Hears("4still here")
}

func TestAPollerThatSaysTooMuchIsSentAway(t *testing.T) {
	t.Parallel()
	limits := socket.Limits{Messages: rate.Limit{PerSecond: 1, Burst: 3}}
	p := engineiotest.Serve(t, socket.Config{Limits: limits}, engineio.Config{}, echo()).Opens()

	a := p.Post("4a\x1e4b\x1e4c\x1e4d")

	if a.Status != http.StatusTooManyRequests {
		t.Errorf("answered %d %q", a.Status, a.Body)
	}
	p.Hears("4a", "4b", "4c", "1")
	p.IsOver()
}

func TestADrainSendsEveryoneAway(t *testing.T) {
	t.Parallel()
	h := newHost()
	sys := serve(t, engineio.Config{}, h)
	pending := sys.Opens()
	poll := pending.Polls()
	between := sys.Opens()
	direct, moved := sys.OpensWebSocket(), sys.Opens().Moves()
	for range 4 {
		says(<-h.sessions, "last")
	}
	pending.Wants(<-poll, 200, "4last")
	drained := make(chan error, 1)
	go func() { drained <- sys.Sockets.Drain(t.Context(), 0, 1012, func() string { return "" }) }()

	for _, w := range []*engineiotest.Wire{direct, moved} {
		w.Hears("4last")
		w.IsClosed(1012)
		_ = w.NC.Close()
	}
	pending.Hears("1")
	between.Hears("4last", "1")
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if a := sys.Do("GET", "EIO=4&transport=polling", ""); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("a new session is answered %d", a.Status)
	}
}
