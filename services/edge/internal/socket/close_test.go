package socket_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

func TestADrainSendsWhatIsPendingAndWaits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		plan := newRoom(t, "plan", 16)
		var open atomic.Int32
		s, addr := serve(t, cfg, guests{
			open:   func(c *socket.Conn, _ socket.Opening) { _, _ = plan.join(c); open.Add(1) },
			closed: func(c *socket.Conn, _ error) { plan.leave(c); open.Add(-1) },
		})
		f := follow(t, dial(t, addr, "/ws"))
		sockettest.Eventually(t, "it is open", func() bool { return open.Load() == 1 })
		for range 600 {
			plan.commit(10_000) // more than the socket takes and the ring holds
		}

		closed := make(chan error, 1)
		go func() {
			closed <- s.Drain(context.Background(), 0, 1012, func() string { return `{"retry_after_ms":5}` })
		}()

		f.until(map[string]uint64{"plan": 600})
		f.c.wantsClose(1012)
		if err := <-closed; err != nil || open.Load() != 0 {
			t.Errorf("%v with %d open", err, open.Load())
		}
	})
}

func TestADrainDoesNotWaitLongerThanItsContext(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
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

		err := s.Drain(ctx, 0, 1012, func() string { return "" })

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

// What was sent before Close goes before the close frame, also when both fall between the parts of somebody's pass.
func TestACloseDoesNotOvertakeWhatWasSentBefore(t *testing.T) {
	t.Parallel()
	plan := newRoom(t, "plan", 16)
	var out paper
	c := socket.NewMachine(&out, func(c *socket.Conn) {
		for !c.Pass() {
		}
	}, func(*socket.Conn) {}, 64<<10)
	var once sync.Once
	aside := func() {
		once.Do(func() {
			_ = c.Send([]byte("an error;"))
			c.Close(4004, "gone")
		})
	}

	_, err := c.Attach(interrupted{plan, aside}, 0, []byte("joined;"))

	if want := "joined;an error;\x88\x06\x0f\xa4gone"; err != nil || string(out) != want {
		t.Errorf("%v, sent %q, want %q", err, out, want)
	}
}

// paper is a socket that takes everything.
type paper []byte

func (p *paper) Write(b []byte) int { *p = append(*p, b...); return len(b) }
func (*paper) ShutWrite()           {}
func (*paper) End()                 {}

// interrupted is a room that lets something happen whenever its head is looked at.
type interrupted struct {
	*room
	aside func()
}

func (r interrupted) Head() uint64 {
	r.aside()
	return r.room.Head()
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

	if err := <-ended; !errors.Is(err, socket.ErrSlow) {
		t.Errorf("ended with %v", err)
	}
}

func TestAPeerThatTakesNothingIsEndedAsSlow(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		cfg.StallAfter = 300 * time.Millisecond
		plan := newRoom(t, "plan", 1024)
		joined, ended := make(chan struct{}), make(chan error, 1)
		_, addr := serve(t, cfg, guests{
			open:   func(c *socket.Conn, _ socket.Opening) { _, _ = plan.join(c); close(joined) },
			closed: func(_ *socket.Conn, err error) { ended <- err },
		})
		dial(t, addr, "/ws")
		<-joined // the peer may have its answer before
		for range 500 {
			plan.commit(30000)
		}

		select {
		case err := <-ended:
			if !errors.Is(err, socket.ErrSlow) {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still open")
		}
	})
}

func TestControlFramesThatNobodyReadsEndTheConnection(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		ended := make(chan error, 1)
		conns := make(chan *socket.Conn, 1)
		_, addr := serve(t, cfg, guests{
			open:   func(c *socket.Conn, _ socket.Opening) { conns <- c },
			closed: func(_ *socket.Conn, err error) { ended <- err },
		})
		dial(t, addr, "/ws")
		c := <-conns

		var err error
		for i := 0; i < 100000 && err == nil; i++ {
			err = c.Send(make([]byte, 10000))
		}

		if !errors.Is(err, socket.ErrOverflow) {
			t.Errorf("Send: %v", err)
		}
		if err := <-ended; !errors.Is(err, socket.ErrOverflow) {
			t.Errorf("ended with %v", err)
		}
	})
}
