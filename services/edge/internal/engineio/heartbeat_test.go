package engineio_test

import (
	"errors"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// quick is a heartbeat that tests can wait for; patient leaves slow machines time to answer.
var (
	quick   = engineio.Config{PingInterval: 50 * time.Millisecond, PingTimeout: time.Second}
	patient = engineio.Config{PingInterval: 50 * time.Millisecond, PingTimeout: 10 * time.Second}
)

func TestAPeerThatAnswersPingsStays(t *testing.T) {
	t.Parallel()
	sys := serve(t, patient, echo())

	t.Run("over polling", func(t *testing.T) {
		t.Parallel()
		p := sys.In(t).Opens()
		for range 5 {
			p.Hears("2")
			p.Says("3")
		}
	})
	t.Run("over a WebSocket", func(t *testing.T) {
		t.Parallel()
		w := sys.In(t).OpensWebSocket()
		for range 5 {
			w.Hears("2")
			w.Says("3")
		}
	})
	t.Run("over a WebSocket after polling", func(t *testing.T) {
		t.Parallel()
		p := sys.In(t).Opens()
		p.Hears("2")
		p.Says("3")
		w := p.Moves()
		for range 5 {
			w.Hears("2")
			w.Says("3")
		}
	})
	t.Run("with a ping that it was sent before it moved", func(t *testing.T) {
		t.Parallel()
		p := sys.In(t).Opens()
		p.Hears("2")
		w := p.Moves()
		w.Says("3")
		w.Hears("2")
	})
}

func TestOnlyThePongRestartsTheHeartbeat(t *testing.T) {
	t.Parallel()
	h := newHost()
	w := serve(t, quick, h).OpensWebSocket()
	w.Hears("2")

	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); {
		if _, err := w.NC.Write(sockettest.Mask(0x81, "6")); err != nil { // traffic, but no pong
			break
		}
		select {
		case err := <-h.ends:
			if !errors.Is(err, socket.ErrSilent) {
				t.Errorf("ended with %v", err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := <-h.ends; !errors.Is(err, socket.ErrSilent) {
		t.Errorf("ended with %v", err)
	}
}

func TestAPeerThatDoesNotAnswerIsForgotten(t *testing.T) {
	t.Parallel()

	t.Run("while it polls", func(t *testing.T) {
		t.Parallel()
		p := serve(t, quick, echo()).Opens()
		p.Hears("2")
		p.Hears("1")
		p.Wants(p.Get(), 400, engineiotest.Unknown)
	})
	t.Run("while it does not", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		p := serve(t, quick, h).Opens()
		if err := <-h.ends; !errors.Is(err, socket.ErrSilent) {
			t.Errorf("ended with %v", err)
		}
		p.Wants(p.Get(), 400, engineiotest.Unknown)
	})
	t.Run("on a WebSocket", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		w := serve(t, quick, h).OpensWebSocket()
		w.Hears("2")
		if err := <-h.ends; !errors.Is(err, socket.ErrSilent) {
			t.Errorf("ended with %v", err)
		}
		if _, err := w.NC.Read(make([]byte, 1)); err == nil {
			t.Error("something came after the end")
		}
	})
	t.Run("after it moved", func(t *testing.T) {
		t.Parallel()
		h := newHost()
		w := serve(t, quick, h).Opens().Moves()
		w.Hears("2")
		if err := <-h.ends; !errors.Is(err, socket.ErrSilent) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestADeadlineIsExactForAPollHoweverSeldomTheWheelTurns(t *testing.T) {
	t.Parallel()
	slow, short := socket.Config{VisitEvery: time.Hour}, engineio.Config{PingInterval: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			p := engineiotest.Serve(t, slow, short, echo()).Opens()

			<-time.After(110 * time.Millisecond)

			p.Wants(p.Do(method, p.Query(), "6"), 400, engineiotest.Unknown)
		})
	}
}
