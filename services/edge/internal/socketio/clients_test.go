package socketio_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// clients is where the programs that run real clients are.
const (
	clients = "../../../../tests/clients/engine"
	python  = "/usr/bin/python3"
)

// needs skips the test where a program or a library is missing, which it must not be in CI.
func needs(t *testing.T, what string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = clients
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	redistest.Missing(t, fmt.Sprintf("%s is missing: %v\n%s", what, err, out))
}

// application is an echo server that can be asked for more.
func application() room {
	app := echo()
	plain := app.event
	app.event = func(s *socketio.Socket, e socketio.Event) {
		switch e.Name {
		case "count":
			var n int
			_, _ = fmt.Sscan(string(e.Args[0]), &n)
			var frames []byte // in one piece, as there is a bound on what waits for a peer one by one
			for i := range n {
				frames = socketio.AppendEvent(frames, s.Namespace(), "number", fmt.Append(nil, i))
			}
			_ = s.Send(frames)
		case "ask":
			_ = s.Ask(func(args, attachments [][]byte, _ error) { _ = s.EmitBinary("answered", attachments, args...) }, "question", e.Args...)
		case "drop":
			s.Session().Close()
		case "kick":
			s.Kick()
		default:
			plain(s, e)
		}
	}
	return app
}

func TestRealClientsSpeakToAnEchoApplication(t *testing.T) {
	t.Parallel()
	sys := engineiotest.Serve(t, socket.Config{}, engineio.Config{PingInterval: 300 * time.Millisecond},
		socketio.New(socketio.Config{}, map[string]socketio.Namespace{"/": application(), "/chat": application()}))

	for client, command := range map[string][]string{"socket.io-client": {"node", "echo.mjs"}, "python-socketio": {python, "echo.py"}} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			if command[0] == "node" {
				needs(t, client, "sh", "-c", "test -d node_modules/socket.io-client || npm ci --no-audit --no-fund --ignore-scripts")
			} else {
				needs(t, client, python, "-c", "import socketio, requests, websocket")
			}
			for _, transports := range []string{"polling,websocket", "polling", "websocket"} {
				t.Run(strings.ReplaceAll(transports, ",", " then "), func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
					defer cancel()
					cmd := exec.CommandContext(ctx, command[0], command[1], "http://"+sys.Addr, transports)
					cmd.Dir = clients
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
		})
	}
}
