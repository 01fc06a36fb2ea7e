package session_test

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// Not parallel: it counts the goroutines of the process.
func TestASilentLogGathersNoCallers(t *testing.T) {
	server := redistest.Server(t)
	i := start(t, options{url: server.URL(), cfg: session.Config{Deadline: 500 * time.Millisecond}})
	d := i.project()
	must(t, server.Pause())
	base := runtime.NumGoroutine()

	const rate, seconds = 1000, 4
	var calls sync.WaitGroup
	var quick, slow, other atomic.Int64
	most, late := 0, 0
	tick := time.NewTicker(time.Second / rate)
	for n := range rate * seconds {
		<-tick.C
		calls.Go(func() {
			began := time.Now()
			_, err := d.try("CreateNode", d.folder("Garden"), session.Call{})
			switch {
			case !errors.Is(err, session.ErrUnavailable):
				other.Add(1)
			case time.Since(began) < 100*time.Millisecond:
				quick.Add(1)
			default:
				slow.Add(1)
			}
		})
		most = max(most, runtime.NumGoroutine()-base)
		if n >= rate*seconds/2 {
			late = max(late, runtime.NumGoroutine()-base)
		}
	}
	tick.Stop()
	calls.Wait()
	must(t, server.Resume())
	resumed := time.Now()
	eventually(t, "a command is accepted", func() bool {
		_, err := d.try("CreateNode", d.folder("Roof"), session.Call{})
		return err == nil
	})

	t.Logf("%d calls/s: %d refused at once, %d after a wait; goroutines at most %d more, later %d; accepted %v after the end",
		rate, quick.Load(), slow.Load(), most, late, time.Since(resumed).Round(time.Millisecond))
	if other.Load() > 0 {
		t.Errorf("%d calls were answered by a log that does not answer", other.Load())
	}
	if slow.Load() > rate*seconds/4 || late > 60 {
		t.Error("callers wait although it is known that the log does not answer")
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= base+5 })
}

func TestCallsBeyondTheLimitAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, options{cfg: session.Config{Calls: 2, Deadline: time.Minute}})
	d := i.project()
	hold := slow{name: "evalsha", gate: make(chan struct{})}
	i.rdb.AddHook(hold)

	errs := make(chan error, 6)
	for range 6 {
		go func() {
			_, err := d.try("CreateNode", d.folder("Garden"), session.Call{})
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
	}
	close(hold.gate)

	for range 2 {
		must(t, <-errs)
	}
}

func TestOneBusySessionDoesNotCloseTheOthers(t *testing.T) {
	t.Parallel()
	i := start(t, options{cfg: session.Config{Deadline: 200 * time.Millisecond}})
	busy, other := i.project(), i.project()
	hold := slow{name: "evalsha", gate: make(chan struct{})}
	i.rdb.AddHook(hold)
	defer close(hold.gate)

	for range 10 {
		if _, err := busy.try("CreateNode", busy.folder("Garden"), session.Call{}); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("got %v, want unavailable", err)
		}
		_, err := other.GraphJSON(other.ctx)
		must(t, err)
	}
}
