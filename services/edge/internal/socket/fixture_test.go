package socket_test

import (
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// serve runs a server with endpoints /ws and /stream on a free port until the test ends, and returns it with its address. At the
// end all goroutines have ended.
func serve(tb testing.TB, cfg socket.Config, h socket.Handler) (*socket.Server, string) {
	tb.Helper()
	s, err := socket.New(cfg, h)
	if err != nil {
		tb.Fatal(err)
	}
	return s, sockettest.Serve(tb, s, func(app *fiber.App) {
		app.Get("/ws", s.Upgrade)
		app.Get("/stream", func(c *fiber.Ctx) error { return s.Hijack(c, plain{}, h) })
	})
}

// guests is a handler made of functions; all may be nil.
type guests struct {
	open    func(c *socket.Conn, o socket.Opening) // may be called concurrently
	message func(c *socket.Conn, payload []byte)
	closed  func(c *socket.Conn, err error)
}

func (g guests) Open(c *socket.Conn, o socket.Opening) socket.Client {
	if g.open != nil {
		g.open(c, o)
	}
	return guest{g, c}
}

type guest struct {
	guests
	c *socket.Conn
}

func (g guest) Message(payload []byte) {
	if g.message != nil {
		g.message(g.c, payload)
	}
}

func (g guest) Closed(err error) {
	if g.closed != nil {
		g.closed(g.c, err)
	}
}

// echo answers every message with itself.
func echo(c *socket.Conn, payload []byte) { _ = c.Send(frame.AppendText(nil, payload)) }
