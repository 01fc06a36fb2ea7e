package socket_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// kinds are the two ways a connection is served; everything a peer can see must be the same.
var kinds = []struct {
	name     string
	blocking bool
}{{"polled", false}, {"blocking", true}}

// scene is a test on one kind of connection.
type scene struct {
	*testing.T
	cfg socket.Config
}

// onBoth runs a test for both kinds of connection.
func onBoth(t *testing.T, test func(on scene)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(scene{t, socket.Config{Blocking: k.blocking, Linger: 100 * time.Millisecond}})
		})
	}
}

func TestMessagesComeBackWhole(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		_, addr := serve(t, cfg, guests{message: echo})
		c := dial(t, addr, "/ws")

		for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			text := strings.Repeat("a", n)
			c.send(sockettest.Mask(0x81, text))
			c.wants(0x81, text)
		}
	})
}

func TestBytesThatCameWithTheUpgradeAreRead(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		_, addr := serve(t, cfg, guests{message: echo})
		long := strings.Repeat("early", 300)
		early := append(sockettest.Mask(0x81, long), sockettest.Mask(0x81, "two halves")[:8]...)

		c := dial(t, addr, "/ws", early...)

		c.wants(0x81, long)
		c.send(sockettest.Mask(0x81, "two halves")[8:])
		c.wants(0x81, "two halves")
	})
}

func TestAFrameMayArriveByteByByteAndInFragmentsWithPingsBetween(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		_, addr := serve(t, cfg, guests{message: echo})
		c := dial(t, addr, "/ws")

		var stream []byte
		stream = append(stream, sockettest.Mask(0x01, "Gr\xc3")...) // a character divided between two fragments
		stream = append(stream, sockettest.Mask(0x89, "are you there")...)
		stream = append(stream, sockettest.Mask(0x00, "\xbc\xc3\x9f")...)
		stream = append(stream, sockettest.Mask(0x8A, "unasked pong")...)
		stream = append(stream, sockettest.Mask(0x80, "e")...)
		for _, b := range stream {
			c.send([]byte{b})
		}

		c.wants(0x8A, "are you there")
		c.wants(0x81, "Grüße")
	})
}

func TestBreachesAreClosedWithTheirCode(t *testing.T) {
	t.Parallel()
	unmasked := []byte{0x81, 0x01, 'a'}
	cases := []struct {
		name string
		send []byte
		code uint16
	}{
		{"binary message", sockettest.Mask(0x82, "x"), 1003},
		{"message without mask", unmasked, 1002},
		{"reserved bit", sockettest.Mask(0xC1, "x"), 1002},
		{"reserved opcode", sockettest.Mask(0x83, "x"), 1002},
		{"reserved control opcode", sockettest.Mask(0x8B, "x"), 1002},
		{"fragmented ping", sockettest.Mask(0x09, "x"), 1002},
		{"long ping", sockettest.Mask(0x89, strings.Repeat("x", 126)), 1002},
		{"continuation of nothing", sockettest.Mask(0x80, "x"), 1002},
		{"message inside a message", append(sockettest.Mask(0x01, "a"), sockettest.Mask(0x81, "b")...), 1002},
		{"text that is not UTF-8", sockettest.Mask(0x81, "\xff\xfe"), 1007},
		{"fragments that are not UTF-8", append(sockettest.Mask(0x01, "\xc3"), sockettest.Mask(0x80, "a")...), 1007},
		{"message over the limit", sockettest.Mask(0x81, strings.Repeat("x", 1001)), 1009},
		{"fragments over the limit", append(sockettest.Mask(0x01, strings.Repeat("x", 600)), sockettest.Mask(0x80, strings.Repeat("x", 401))...), 1009},
		{"length over the limit, without the payload", []byte{0x81, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4}, 1009},
		{"length with its highest bit", []byte{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 1002},
		{"close frame of one byte", sockettest.Mask(0x88, "x"), 1002},
		{"close with a code that may not be sent", sockettest.Mask(0x88, "\x03\xee"), 1002},
		{"close with an unknown code", sockettest.Mask(0x88, "\x00\x01"), 1002},
		{"close with a reason that is not UTF-8", sockettest.Mask(0x88, "\x03\xe8\xff"), 1007},
	}
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		cfg.MessageLimit = 1000
		s, addr := serve(t, cfg, guests{message: echo})
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				c := dial(t, addr, "/ws")
				c.send(tc.send, sockettest.Mask(0x81, "never read"))
				c.wantsClose(tc.code)
			})
		}
		if got := s.Stats().Violations; got != uint64(len(cases)) {
			t.Errorf("%d violations counted, want %d", got, len(cases))
		}
	})
}

func TestAClosingHandshakeOfThePeerIsEchoed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		ended := make(chan error, 3)
		_, addr := serve(t, cfg, guests{closed: func(_ *socket.Conn, err error) { ended <- err }})

		c := dial(t, addr, "/ws")
		c.send(sockettest.Mask(0x88, "\x0f\xa0bye"))
		c.wantsClose(4000)
		var ce *socket.CloseError
		if err := <-ended; !errors.As(err, &ce) || ce.Code != 4000 || ce.Reason != "bye" || !ce.Peer {
			t.Errorf("closed with %v", err)
		}

		c = dial(t, addr, "/ws")
		c.send(sockettest.Mask(0x88, ""))
		c.wants(0x88, "")
		if err := <-ended; !errors.As(err, &ce) || ce.Code != 1005 || !ce.Peer {
			t.Errorf("closed with %v", err)
		}

		_ = dial(t, addr, "/ws").Close()
		if err := <-ended; !errors.Is(err, socket.ErrGone) {
			t.Errorf("closed with %v, want ErrGone", err)
		}
	})
}

func TestWhatIsSentBeforeACloseArrivesBeforeIt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		ended := make(chan error, 1)
		_, addr := serve(t, cfg, guests{
			open: func(c *socket.Conn, o socket.Opening) {
				echo(c, []byte("no "+o.Query.Get("session_id")+" "+o.Query.Get("after")))
				c.Close(4004, strings.Repeat("é", 100))
				c.Close(4001, "too late")
			},
			message: func(*socket.Conn, []byte) { t.Error("a message after Close") },
			closed: func(c *socket.Conn, err error) {
				if !errors.Is(c.Send(nil), socket.ErrClosed) {
					t.Error("Send works after the end")
				}
				ended <- err
			},
		})

		c := dial(t, addr, "/ws?session_id=a%20b&after=7", sockettest.Mask(0x81, "hello")...)

		c.wants(0x81, "no a b 7")
		c.wants(0x88, "\x0f\xa4"+strings.Repeat("é", 61))
		var ce *socket.CloseError
		if err := <-ended; !errors.As(err, &ce) || ce.Code != 4004 || ce.Peer {
			t.Errorf("closed with %v", err)
		}
	})
}

func TestASilentPeerIsPingedAndThenDropped(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		cfg.PingEvery, cfg.PongWithin = 200*time.Millisecond, 200*time.Millisecond
		ended := make(chan error, 1)
		s, addr := serve(t, cfg, guests{closed: func(_ *socket.Conn, err error) { ended <- err }})
		c := dial(t, addr, "/ws")

		for range 3 {
			c.wants(0x89, "")
			c.send(sockettest.Mask(0x8A, ""))
		}
		c.wants(0x89, "")

		if err := <-ended; !errors.Is(err, socket.ErrSilent) {
			t.Errorf("closed with %v, want ErrSilent", err)
		}
		if st := s.Stats(); st.Silent != 1 || st.Pings < 4 {
			t.Errorf("stats %+v", st)
		}
	})
}
