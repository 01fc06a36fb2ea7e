package session_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// distant is the URL of a Redis that is a round trip farther away than the one at
// url: a proxy delays what goes there by half of it, and the answers by the other
// half, without holding up what comes behind.
func distant(t testing.TB, url string, trip time.Duration) string {
	t.Helper()
	opts, err := redis.ParseURL(url)
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { stop(); _ = listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", opts.Addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			stopped := context.AfterFunc(ctx, func() { _ = near.Close(); _ = far.Close() })
			all.Go(func() { carry(&all, far, near, trip/2) })
			all.Go(func() { carry(&all, near, far, trip/2); stopped() })
		}
	})
	return fmt.Sprintf("redis://%s/%d", listener.Addr(), opts.DB)
}

// parcel is what was read at one moment.
type parcel struct {
	due  time.Time
	data []byte
}

// carry passes bytes on, each after the delay. It closes both ends when one is closed.
func carry(all *sync.WaitGroup, to, from net.Conn, delay time.Duration) {
	road := make(chan parcel, 4096)
	all.Go(func() {
		broken := false
		for p := range road {
			if wait := time.Until(p.due); wait > 0 && !broken {
				timer := time.NewTimer(wait)
				<-timer.C
			}
			if _, err := to.Write(p.data); err != nil {
				broken = true
			}
		}
		_, _ = to.Close(), from.Close()
	})
	defer close(road)
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		road <- parcel{due: time.Now().Add(delay), data: buf[:n]}
	}
}

// floods has callers rename the root of a session without a pause until stop is
// called, which returns how long each of the commands took.
func (d *desk) floods(callers int) (stop func() []time.Duration) {
	done := make(chan struct{})
	var all sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	for n := range callers {
		all.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-done:
					return
				default:
				}
				began := time.Now()
				_, err := d.try("UpdateProperty", rename(d.root, fmt.Sprint(n, "/", k)), session.Call{})
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
				if err != nil {
					d.t.Errorf("a caller gave up after %v: %v", time.Since(began), err)
					return
				}
			}
		})
	}
	return func() []time.Duration { close(done); all.Wait(); return took }
}

func TestADistantWriterIsNotStarvedByANearOne(t *testing.T) {
	t.Parallel()
	url := redistest.Real(t)
	patient := session.Config{Deadline: 30 * time.Second}
	near := start(t, options{url: url, cfg: patient}).project()
	far := near.on(start(t, options{url: distant(t, url, 5*time.Millisecond), cfg: patient}))
	far.name(far.root)
	const commands = 30

	stop := near.floods(4)
	for n := range commands {
		far.creates(fmt.Sprint(n))
	}
	stop()

	conflicts := far.metric("talus_session_conflicts_total")
	t.Logf("%.1f conflicts per commit of the distant writer", conflicts/commands)
	if conflicts > 8*commands {
		t.Errorf("%v conflicts for %d commits", conflicts, commands)
	}
	h, at := near.hash()
	h2, at2 := far.hash()
	if h != h2 || at != at2 {
		t.Errorf("the instances are at %v and %v, or their graphs differ", at, at2)
	}
}

// BenchmarkDistance answers what two instances get that write to one session as fast
// as they can, 0.3 and 5 ms away from Redis, and what one of them gets alone.
func BenchmarkDistance(b *testing.B) {
	url := redistest.Real(b)
	const callers = 16
	for _, trips := range [][]time.Duration{{300 * time.Microsecond}, {5 * time.Millisecond}, {300 * time.Microsecond, 5 * time.Millisecond}} {
		b.Run(fmt.Sprint("trips=", trips), func(b *testing.B) {
			first := start(b, options{url: url, cfg: session.Config{Deadline: time.Minute}}).project()
			desks := make([]*desk, len(trips))
			for n, trip := range trips {
				i := start(b, options{url: distant(b, url, trip), cfg: session.Config{Deadline: time.Minute}})
				i.t = b
				desks[n] = first.on(i)
				desks[n].renames(first.root, "warm")
			}
			b.ResetTimer()
			stops := make([]func() []time.Duration, len(desks))
			for n, d := range desks {
				stops[n] = d.floods(callers)
			}
			for b.Loop() {
				timer := time.NewTimer(100 * time.Millisecond)
				<-timer.C
			}
			elapsed := b.Elapsed()
			for n, stop := range stops {
				took := stop()
				slices.Sort(took)
				writer := "/writer=" + trips[n].String()
				b.ReportMetric(float64(len(took))/elapsed.Seconds(), "commands/s"+writer)
				b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms"+writer)
				b.ReportMetric(desks[n].metric("talus_session_conflicts_total")/float64(len(took)), "conflicts/command"+writer)
			}
		})
	}
}
