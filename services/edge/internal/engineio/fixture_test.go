package engineio_test

import (
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// serve runs a server until the test ends.
func serve(tb testing.TB, cfg engineio.Config, h engineio.Handler) *engineiotest.System {
	tb.Helper()
	return engineiotest.Serve(tb, socket.Config{}, cfg, h)
}

// guests is a Handler made of functions; all may be nil.
type guests struct {
	open    func(s *engineio.Session)
	message func(s *engineio.Session, payload []byte)
	binary  func(s *engineio.Session, payload []byte)
	closed  func(s *engineio.Session, err error)
}

func (g guests) Open(s *engineio.Session) engineio.Client {
	if g.open != nil {
		g.open(s)
	}
	return guest{g, s}
}

type guest struct {
	guests
	s *engineio.Session
}

func (g guest) Message(payload []byte) {
	if g.message != nil {
		g.message(g.s, payload)
	}
}

func (g guest) Binary(payload []byte) {
	if g.binary != nil {
		g.binary(g.s, payload)
	}
}

func (g guest) Closed(err error) {
	if g.closed != nil {
		g.closed(g.s, err)
	}
}

// echo answers every message with itself.
func echo() guests {
	return guests{
		message: func(s *engineio.Session, payload []byte) { _ = s.Send(engineio.AppendMessage(nil, payload)) },
		binary:  func(s *engineio.Session, payload []byte) { _ = s.Send(engineio.AppendBinary(nil, payload)) },
	}
}
