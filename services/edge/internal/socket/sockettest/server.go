// Package sockettest is what the tests of the edge's transport, and of the protocols on it, share: an application that
// serves connections, and their peer, frame by frame, so that tests can say what is on the wire.
package sockettest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// Serve runs s, behind the endpoints that routes adds, on a free port until the test ends, and returns its address. At the
// end all goroutines have ended.
func Serve(tb testing.TB, s *socket.Server, routes func(app *fiber.App)) (addr string) {
	tb.Helper()
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ReduceMemoryUsage: true})
	app.Server().KeepHijackedConns = true
	routes(app)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = app.Listener(daemon.Impatient(ln, time.Minute)) })
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		cancel()
		_ = app.ShutdownWithTimeout(time.Second)
		wg.Wait()
	})
	return ln.Addr().String()
}

// Eventually waits until ok is true, 10 s at most.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("did not happen in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
