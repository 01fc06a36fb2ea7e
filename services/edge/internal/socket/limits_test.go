package socket_test

import (
	"bufio"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// refusals is a count of what a server refused.
type refusals struct {
	mu sync.Mutex
	of map[socket.Refusal]int
}

func (r *refusals) count(why socket.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[socket.Refusal]int{}
	}
	r.of[why]++
}

func (r *refusals) are(t *testing.T, why socket.Refusal, want int) {
	t.Helper()
	sockettest.Eventually(t, "the refusals are counted", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.of[why] >= want })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) > 1 || r.of[why] != want {
		t.Errorf("refused %v, want %d for %q", r.of, want, why)
	}
}

// knock asks for an upgrade and returns the answer.
func knock(t *testing.T, addr, header string) *http.Response {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_, _ = nc.Write([]byte(strings.Replace(sockettest.Handshake("/ws"), "\r\n\r\n", "\r\n"+header+"\r\n\r\n", 1)))
	answer, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

// knocks asks for an upgrade and returns the connection, nil if it was refused.
func knocks(t *testing.T, addr string) net.Conn {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { _ = nc.Close() })
	_, _ = nc.Write([]byte(sockettest.Handshake("/ws")))
	var head []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, one[0]) {
		if _, err := nc.Read(one); err != nil {
			t.Error(err)
			return nil
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		return nil
	}
	return nc
}

func TestAFullServerRefusesConnectionsUntilOneHasEnded(t *testing.T) {
	t.Parallel()
	var no refusals
	s, addr := serve(t, socket.Config{Limits: socket.Limits{Connections: 2, Refused: no.count}}, guests{})
	crowd := crowdOf(t, s, addr, 2)

	answer := knock(t, addr, "X: y")
	_ = crowd[0].Close()
	sockettest.Eventually(t, "there is room again", func() bool { return s.Stats().Connections == 1 })
	dial(t, addr, "/ws")

	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d %v", answer.StatusCode, answer.Header)
	}
	no.are(t, socket.Full, 1)
}

func TestOneAddressGetsItsShareOfTheConnections(t *testing.T) {
	t.Parallel()
	var no refusals
	from := func(c *fiber.Ctx) netip.Addr { return netip.MustParseAddr(c.Get("From")) }
	s, addr := serve(t, socket.Config{Address: from, Limits: socket.Limits{PerAddress: 2, Refused: no.count}}, guests{})
	open := 0

	for _, c := range []struct {
		from string
		want int
	}{
		{"198.51.100.1", 101}, {"198.51.100.1", 101}, {"198.51.100.1", 429}, {"198.51.100.2", 101},
		{"::ffff:198.51.100.1", 429}, // the same, written otherwise
		{"2001:db8:1:1::1", 101}, {"2001:db8:1:1::2", 101}, {"2001:db8:1:1:5::3", 429}, {"2001:db8:1:2::1", 101},
	} {
		answer := knock(t, addr, "From: "+c.from)
		if answer.StatusCode != c.want || c.want == 429 && answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v, want %d", c.from, answer.StatusCode, answer.Header, c.want)
		}
		if c.want == 101 {
			open++
			sockettest.Eventually(t, "it is open", func() bool { return s.Stats().Connections == open })
		}
	}
	no.are(t, socket.Crowded, 3)
}

func TestAnAddressIsForgottenWhenItsLastConnectionHasEnded(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		cfg.Limits.PerAddress = 1
		s, addr := serve(t, cfg, guests{})
		for range 5 {
			c := dial(t, addr, "/ws")
			sockettest.Eventually(t, "it is open", func() bool { return s.Stats().Connections == 1 })
			_ = c.Close()
			sockettest.Eventually(t, "it has ended", func() bool { return s.Stats().Connections == 0 })
		}
	})
}

// Upgrades that come together are all let in by a look at the numbers; the count itself decides.
func TestConnectionsThatComeTogetherDoNotPassTheLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits socket.Limits
		why    socket.Refusal
		close  uint16 // of those who were let in at first
	}{
		"in all":      {socket.Limits{Connections: 3}, socket.Full, 4100},
		"per address": {socket.Limits{PerAddress: 3}, socket.Crowded, 4101},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 40
			var no refusals
			c.limits.Refused = no.count
			var together sync.WaitGroup
			together.Add(n)
			// Address is asked before the numbers are looked at; the pause after it holds up none of the others.
			wait := func(*fiber.Ctx) netip.Addr {
				together.Done()
				together.Wait()
				return netip.MustParseAddr("198.51.100.1")
			}
			s, addr := serve(t, socket.Config{Address: wait, Limits: c.limits}, guests{})
			var answered sync.WaitGroup
			var late, stay atomic.Int32
			for range n {
				answered.Go(func() {
					peer := &raw{t, nil}
					if peer.Conn = knocks(t, addr); peer.Conn == nil {
						return // refused before the upgrade
					}
					_ = peer.SetReadDeadline(time.Now().Add(time.Second))
					if _, text, err := peer.next(); err != nil {
						stay.Add(1)
					} else if late.Add(1); binary.BigEndian.Uint16([]byte(text)) != c.close {
						t.Errorf("sent away with %q", text)
					}
				})
			}
			answered.Wait()

			if stay.Load() != 3 || s.Stats().Connections != 3 {
				t.Errorf("%d are in, %d by the server's count", stay.Load(), s.Stats().Connections)
			}
			no.are(t, c.why, n-3)
			t.Logf("%d of %d were sent away after the upgrade", late.Load(), n-3)
		})
	}
}

func TestAFloodOfMessagesEndsTheConnection(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]byte{"texts": 0x81, "pings": 0x89} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(on scene) {
				t, cfg := on.T, on.cfg
				var no refusals
				cfg.Limits = socket.Limits{Messages: rate.Limit{PerSecond: 1, Burst: 5}, Refused: no.count}
				s, addr := serve(t, cfg, guests{message: echo})
				c := dial(t, addr, "/ws")
				answer := map[byte]byte{0x81: 0x81, 0x89: 0x8A}[first]

				var flood []byte
				for range 100 {
					flood = append(flood, sockettest.Mask(first, "hello")...)
				}
				c.send(flood)

				for range 5 {
					c.wants(answer, "hello")
				}
				c.wantsClose(4101)
				no.are(t, socket.Flood, 1)
				if n := s.Stats().Messages; n > 5 {
					t.Errorf("%d messages were handed on", n)
				}
			})
		})
	}
}

func TestAMessageThatIsTooBigIsCounted(t *testing.T) {
	t.Parallel()
	var no refusals
	_, addr := serve(t, socket.Config{MessageLimit: 1000, Limits: socket.Limits{Refused: no.count}}, guests{})
	c := dial(t, addr, "/ws")

	c.send(sockettest.Mask(0x81, strings.Repeat("x", 1001)))

	c.wantsClose(1009)
	no.are(t, socket.TooBig, 1)
}

func TestAConnectionThatNeverJoinsIsClosed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		const within = 200 * time.Millisecond
		var no refusals
		cfg.Limits = socket.Limits{JoinWithin: within, Refused: no.count}
		plan := newRoom(t, "plan", 16)
		_, addr := serve(t, cfg, guests{message: func(c *socket.Conn, _ []byte) { _, _ = plan.join(c); plan.leave(c) }})
		idle, busy := dial(t, addr, "/ws"), dial(t, addr, "/ws")
		began := time.Now()

		busy.send(sockettest.Mask(0x81, "join"))
		busy.wants(0x81, "joined plan 0")
		busy.wants(0x81, "left plan")
		idle.wantsClose(4008)

		if waited := time.Since(began); waited < within/2 {
			t.Errorf("closed after %v", waited)
		}
		_ = busy.SetReadDeadline(time.Now().Add(2 * within))
		if _, _, err := busy.next(); err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("who had joined was sent away: %v", err)
		}
		no.are(t, socket.Joinless, 1)
	})
}

func TestAJoinThatFailedOnThisSideGetsItsTimeAnew(t *testing.T) {
	t.Parallel()
	const within = 300 * time.Millisecond
	_, addr := serve(t, socket.Config{Limits: socket.Limits{JoinWithin: within}}, guests{message: func(c *socket.Conn, _ []byte) { c.Await() }})
	c := dial(t, addr, "/ws")
	began := time.Now()

	for range 4 {
		c.send(sockettest.Mask(0x81, "join"))
		_ = c.SetReadDeadline(time.Now().Add(within / 2))
		if _, text, err := c.next(); err == nil {
			t.Fatalf("got %q after %v", text, time.Since(began))
		}
	}

	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	c.wantsClose(4008)
}

func TestAServerThatClosesRefusesConnections(t *testing.T) {
	t.Parallel()
	var no refusals
	s, addr := serve(t, socket.Config{Limits: socket.Limits{Refused: no.count}}, guests{})
	if err := s.Drain(t.Context(), 0, 1012, func() string { return "" }); err != nil {
		t.Fatal(err)
	}

	answer := knock(t, addr, "X: y")

	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d %v", answer.StatusCode, answer.Header)
	}
	no.are(t, socket.Draining, 1)
}
