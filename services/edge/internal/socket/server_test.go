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
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

func TestAWebSocketLibraryTalksToTheServer(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
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
		c.SetReadLimit(1 << 20)

		if p := answer.Header.Get("Sec-WebSocket-Protocol"); p != "talus.v1.json" {
			t.Errorf("protocol %q", p)
		}
		o := <-opened
		if o.Protocol != "talus.v1.json" || fmt.Sprint(o.Query["a"]) != "[1 2]" || o.IP != "127.0.0.1" || !o.Remote.IsValid() {
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
	good := handshake("/ws")
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

	if err := s.Close(t.Context(), 1012, ""); err != nil {
		t.Fatal(err)
	}
	if got := ask(good); got != 503 {
		t.Errorf("after Close: %d, want 503", got)
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

func TestCloseSendsWhatIsPendingAndWaits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		plan := newRoom(t, "plan", 16)
		var open atomic.Int32
		s, addr := serve(t, cfg, guests{
			open:   func(c *socket.Conn, _ socket.Opening) { _, _ = plan.join(c); open.Add(1) },
			closed: func(c *socket.Conn, _ error) { plan.leave(c); open.Add(-1) },
		})
		f := follow(t, dial(t, addr, "/ws"))
		eventually(t, "it is open", func() bool { return open.Load() == 1 })
		for range 600 {
			plan.commit(10_000) // more than the socket takes and the ring holds
		}

		closed := make(chan error, 1)
		go func() { closed <- s.Close(context.Background(), 1012, `{"retry_after_ms":5}`) }()

		f.until(map[string]uint64{"plan": 600})
		f.c.wantsClose(1012)
		if err := <-closed; err != nil || open.Load() != 0 {
			t.Errorf("%v with %d open", err, open.Load())
		}
	})
}

func TestCloseDoesNotWaitLongerThanItsContext(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		plan := newRoom(t, "plan", 16)
		opened := make(chan struct{}, 1)
		s, addr := serve(t, cfg, guests{open: func(c *socket.Conn, _ socket.Opening) { _, _ = plan.join(c); opened <- struct{}{} }})
		dial(t, addr, "/ws") // and never reads
		<-opened
		for range 600 {
			plan.commit(30_000)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()

		err := s.Close(ctx, 1012, "")

		if !errors.Is(err, context.DeadlineExceeded) || s.Stats().Connections != 0 {
			t.Errorf("%v, %+v", err, s.Stats())
		}
	})
}

func TestADrainThatCannotFlushEndsWithoutTheRecords(t *testing.T) {
	t.Parallel()
	stuck := newRoom(t, "stuck", 1)
	stuck.head.Store(5) // a room that never answers a refill, as its log has nothing
	conns := make(chan *socket.Conn, 1)
	_, addr := serve(t, socket.Config{StallAfter: 200 * time.Millisecond}, guests{open: func(c *socket.Conn, _ socket.Opening) {
		_, _ = c.Attach(deaf{stuck}, 1, nil)
		conns <- c
	}})
	c := dial(t, addr, "/ws")

	(<-conns).Drain(1012, "restart")

	c.wantsClose(1012)
}

// deaf is a room that does not answer refills.
type deaf struct{ *room }

func (deaf) Refill(*socket.Conn, socket.Slot, uint64) {}

func TestASlotThatFallsOffItsRingTooOftenIsEnded(t *testing.T) {
	t.Parallel()
	hopeless := newRoom(t, "hopeless", 1)
	hopeless.head.Store(5) // its ring has nothing, and its log neither
	ended := make(chan error, 1)
	_, addr := serve(t, socket.Config{}, guests{
		open:   func(c *socket.Conn, _ socket.Opening) { _, _ = c.Attach(hopeless, 1, nil) },
		closed: func(_ *socket.Conn, err error) { ended <- err },
	})
	c := dial(t, addr, "/ws")

	c.wantsClose(4200)
	_ = c.Close()

	if err := <-ended; err != socket.ErrSlow {
		t.Errorf("ended with %v", err)
	}
}

func TestAResyncPutsASlotOnAnotherBranch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		dead, alive := newRoom(t, "dead", 16), newRoom(t, "alive", 16)
		for range 7 {
			dead.commit(1)
			alive.commit(1)
		}
		type seat struct {
			c    *socket.Conn
			slot socket.Slot
		}
		seats := make(chan seat, 1)
		_, addr := serve(t, cfg, guests{open: func(c *socket.Conn, _ socket.Opening) {
			slot, _ := c.Attach(dead, 7, nil)
			seats <- seat{c, slot}
		}})
		c := dial(t, addr, "/ws")
		s := <-seats

		s.c.Resync(s.slot, alive, 5, []byte{0x81, 2, 'r', 's'})

		c.wants(0x81, "rs")
		c.wants(0x81, "alive 6 x")
		c.wants(0x81, "alive 7 x")
		dead.commit(1)
		alive.mu.Lock()
		alive.subs[s.c] = s.slot
		alive.mu.Unlock()
		alive.commit(1)
		c.wants(0x81, "alive 8 x")
	})
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
				eventually(t, "all goroutines have ended", func() bool { return ours() == 0 })
			})
			plan := newRoom(t, "plan", 16)
			s, addr := serve(t, socket.Config{Blocking: k.blocking}, guests{open: func(c *socket.Conn, _ socket.Opening) { _, _ = plan.join(c) }})
			var clients []*raw
			for range 50 {
				clients = append(clients, dial(t, addr, "/ws"))
			}
			eventually(t, "all are open", func() bool { return s.Stats().Connections == 50 })
			if idle := ours(); idle == 0 || !k.blocking && idle > 5 {
				t.Errorf("%d goroutines for 50 idle connections", idle)
			}
			plan.commit(10)
			for _, c := range clients[:25] {
				_ = c.Close()
			}
			eventually(t, "half are gone", func() bool { return s.Stats().Connections == 25 })
		})
	}
}
