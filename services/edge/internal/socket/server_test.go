package socket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

func TestAWebSocketLibraryTalksToTheServer(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		cfg.Protocols = []string{"talus.v1.json"}
		opened := make(chan socket.Opening, 1)
		ended := make(chan error, 1)
		_, addr := serve(t, cfg, guests{
			open:    func(_ *socket.Conn, o socket.Opening) { opened <- o },
			message: echo,
			closed:  func(_ *socket.Conn, err error) { ended <- err },
		})

		c, answer, err := websocket.Dial(t.Context(), "ws://"+addr+"/ws?a=1&a=2", &websocket.DialOptions{
			Subprotocols: []string{"other", "talus.v1.json"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body != nil {
			_ = answer.Body.Close()
		}
		c.SetReadLimit(1 << 20)

		if p := answer.Header.Get("Sec-WebSocket-Protocol"); p != "talus.v1.json" {
			t.Errorf("protocol %q", p)
		}
		o := <-opened
		if o.Protocol != "talus.v1.json" || fmt.Sprint(o.Query["a"]) != "[1 2]" || o.Address.String() != "127.0.0.1" || !o.Remote.IsValid() {
			t.Errorf("opening %+v", o)
		}
		for _, text := range []string{"hello", strings.Repeat("long ", 50_000)} {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != text {
				t.Fatalf("got %.20q, %v", got, err)
			}
		}
		go func() { _, _, _ = c.Read(context.Background()) }() // answers to pings are found by a reader
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
			t.Error(err)
		}
		var ce *socket.CloseError
		if err := <-ended; !errors.As(err, &ce) || !ce.Peer || ce.Code != 1000 || ce.Reason != "done" {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestRequestsThatAreNoGoodUpgradeAreRefused(t *testing.T) {
	t.Parallel()
	cfg := socket.Config{Protocols: []string{"talus.v1.json"}, Admit: func(c *fiber.Ctx) error {
		if c.Get("Origin") == "http://evil" {
			return fiber.ErrForbidden
		}
		return nil
	}}
	s, addr := serve(t, cfg, guests{})
	good := sockettest.Handshake("/ws")
	ask := func(request string) int {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		_, _ = nc.Write([]byte(request))
		answer, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatalf("%v to %q", err, request)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	with := func(header string) string { return strings.Replace(good, "\r\n\r\n", "\r\n"+header+"\r\n\r\n", 1) }

	for _, tc := range []struct {
		name, request string
		want          int
	}{
		{"a plain GET", "GET /ws HTTP/1.1\r\nHost: t\r\n\r\n", 426},
		{"another version", strings.Replace(good, "Version: 13", "Version: 12", 1), 400},
		{"no key", strings.Replace(good, "Sec-WebSocket-Key", "X", 1), 400},
		{"another subprotocol", with("Sec-WebSocket-Protocol: graphql-ws, mqtt"), 400},
		{"another origin", with("Origin: http://evil"), 403},
		{"a query that cannot be read", strings.Replace(good, "/ws", "/ws?a=%zz", 1), 400},
		{"a good one", good, 101},
		{"one with our subprotocol among others", with("Sec-WebSocket-Protocol: mqtt,talus.v1.json"), 101},
	} {
		if got := ask(tc.request); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}

	if err := s.Drain(t.Context(), 0, 1012, func() string { return "" }); err != nil {
		t.Fatal(err)
	}
	if got := ask(good); got != 503 {
		t.Errorf("after Drain: %d, want 503", got)
	}
}

func TestANegativeLimitIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := socket.New(socket.Config{MessageLimit: -1}, guests{}); err == nil {
		t.Error("accepted")
	}
	if _, err := socket.New(socket.Config{PingEvery: -1}, guests{}); err == nil {
		t.Error("accepted")
	}
}

// ours counts the goroutines that run code of the package.
func ours() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for trace := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(trace, "/internal/socket.") {
			n++
		}
	}
	return n
}

// This test counts the goroutines of the process, so it does not run beside others.
func TestNothingIsLeftWhenAServerHasRun(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Cleanup(func() {
				sockettest.Eventually(t, "all goroutines have ended", func() bool { return ours() == 0 })
			})
			plan := newRoom(t, "plan", 16)
			s, addr := serve(t, socket.Config{Blocking: k.blocking}, guests{open: func(c *socket.Conn, _ socket.Opening) { _, _ = plan.join(c) }})
			var clients []*raw
			for range 50 {
				clients = append(clients, dial(t, addr, "/ws"))
			}
			sockettest.Eventually(t, "all are open", func() bool { return s.Stats().Connections == 50 })
			if !k.blocking {
				sockettest.Eventually(t, "50 idle connections need no goroutine", func() bool { return ours() <= 5 })
			}
			plan.commit(10)
			for _, c := range clients[:25] {
				_ = c.Close()
			}
			sockettest.Eventually(t, "half are gone", func() bool { return s.Stats().Connections == 25 })
		})
	}
}
