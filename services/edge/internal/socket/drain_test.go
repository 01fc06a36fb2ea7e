package socket_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// crowdOf opens n connections and returns them when the server has them all.
func crowdOf(t *testing.T, s *socket.Server, addr string, n int) []*raw {
	t.Helper()
	crowd := make([]*raw, n)
	for i := range crowd {
		crowd[i] = dial(t, addr, "/ws")
	}
	sockettest.Eventually(t, "all are open", func() bool { return s.Stats().Connections == n })
	return crowd
}

func TestADrainSpreadsTheEndsOverItsTime(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		const n, over = 100, 600 * time.Millisecond
		s, addr := serve(t, cfg, guests{})
		crowd := crowdOf(t, s, addr, n)
		var reasons atomic.Int32
		began := time.Now()
		ends := make([]time.Duration, n)
		var readers sync.WaitGroup
		for i, c := range crowd {
			readers.Go(func() {
				_, text, err := c.next()
				ends[i] = time.Since(began)
				if err != nil || len(text) < 2 {
					t.Errorf("%q, %v", text, err)
				}
				_ = c.Close()
			})
		}

		err := s.Drain(t.Context(), over, 1012, func() string { return fmt.Sprint(reasons.Add(1)) })

		readers.Wait()
		if err != nil || reasons.Load() != n {
			t.Errorf("%v, %d reasons for %d connections", err, reasons.Load(), n)
		}
		if slices.IsSorted(ends) {
			t.Error("they were sent away in the order in which they came")
		}
		slices.Sort(ends)
		if early, half, late := ends[0], ends[n/2], ends[n-1]; early > over/4 || half < over/4 || half > over || late < over*3/4 {
			t.Errorf("the first after %v, half after %v, the last after %v; want them spread over %v", early, half, late, over)
		}
	})
}

func TestAFewClientsAreSentAwayAtOnce(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, socket.Config{}, guests{})
	crowd := crowdOf(t, s, addr, 3)
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		done <- s.Drain(context.Background(), time.Hour, 1012, func() string { return "restart" })
	}()

	for _, c := range crowd {
		c.wantsClose(1012)
		_ = c.Close()
	}

	if err := <-done; err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestADrainEndsWhenItsTimeIsOverAlthoughClientsAreLeft(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, socket.Config{}, guests{})
	crowdOf(t, s, addr, 50) // 500 ms at the pace of a drain
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()

	err := s.Drain(ctx, time.Hour, 1012, func() string { return "restart" })

	if err == nil || s.Stats().Connections != 0 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
}

func TestACommitDuringADrainReachesThoseWhoAreStillThere(t *testing.T) {
	t.Parallel()
	plan := newRoom(t, "plan", 1024)
	s, addr := serve(t, socket.Config{}, guests{
		open:   func(c *socket.Conn, _ socket.Opening) { _, _ = plan.join(c) },
		closed: func(c *socket.Conn, _ error) { plan.leave(c) },
	})
	crowd := crowdOf(t, s, addr, 60)
	var ended atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for !ended.Load() {
			plan.commit(200)
			time.Sleep(time.Millisecond)
		}
	})
	var last atomic.Uint64
	for _, c := range crowd {
		running.Go(func() {
			f := follow(t, c)
			for f.read() == nil { // it checks that the versions come in steps of one; the end is a close frame
			}
			last.Store(max(last.Load(), f.at["plan"]))
			_ = c.Close()
		})
	}

	err := s.Drain(t.Context(), time.Minute, 1012, func() string { return "restart" })

	ended.Store(true)
	running.Wait()
	if err != nil || last.Load() < 50 {
		t.Errorf("%v; the last client was sent away at version %d", err, last.Load())
	}
}
