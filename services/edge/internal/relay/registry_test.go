package relay_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/edge/internal/relay"
)

// registry is one that edges of a test share. To register takes some time, to be taken out none. Both take effect at the
// end of it even if the caller has given up.
type registry struct {
	takes time.Duration // to register

	mu        sync.Mutex
	addresses map[string]string
	calls     int // that registered
	under     int // calls under way
	most      int // calls that were under way at a time
}

func newRegistry(takes time.Duration) *registry {
	return &registry{takes: takes, addresses: map[string]string{}}
}

func (r *registry) call(ctx context.Context, takes time.Duration, apply func()) error {
	r.mu.Lock()
	r.under++
	r.most = max(r.most, r.under)
	r.mu.Unlock()
	applied := make(chan struct{})
	time.AfterFunc(takes, func() {
		defer close(applied)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.under--
		apply()
	})
	select {
	case <-applied:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *registry) Register(ctx context.Context, edge, address string, _ time.Duration, secret []byte) (eventlog.Edges, error) {
	all := make(chan eventlog.Edges, 1)
	err := r.call(ctx, r.takes, func() {
		r.calls++
		r.addresses[edge] = address
		all <- eventlog.Edges{Addresses: maps.Clone(r.addresses), Secret: secret}
	})
	if err != nil {
		return eventlog.Edges{}, err
	}
	return <-all, nil
}

func (r *registry) Unregister(ctx context.Context, edge string) error {
	return r.call(ctx, 0, func() { delete(r.addresses, edge) })
}

// entries is who is registered, and how often somebody was.
func (r *registry) entries() (map[string]string, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.addresses), r.calls
}

// together is how many calls there were at a time, at most.
func (r *registry) together() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

func at(address string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return address, nil }
}

// runs runs a relay; the returned function stops it.
func runs(t *testing.T, cfg relay.Config, in relay.Registry) (*relay.Relay, func()) {
	t.Helper()
	r := relay.New(cfg, in, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return r, stop
}

func TestAnEdgeIsNotRegisteredBeforeItKnowsItsAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(time.Millisecond)
		var asked, known atomic.Int64
		r, stop := runs(t, relay.Config{Address: func(context.Context) (string, error) {
			asked.Add(1)
			if known.Load() == 0 {
				return "", errors.New("no such host")
			}
			return "10.0.0.1:8081", nil
		}}, reg)
		defer stop()

		time.Sleep(time.Minute)
		synctest.Wait()
		if entries, _ := reg.entries(); len(entries) > 0 || r.Ready(t.Context()) == nil {
			t.Errorf("without an address: registered %v, ready %v", entries, r.Ready(t.Context()))
		}
		known.Store(1)
		time.Sleep(time.Second)
		synctest.Wait()
		entries, _ := reg.entries()
		if entries[r.SessionID("")] != "10.0.0.1:8081" || r.Ready(t.Context()) != nil {
			t.Errorf("with an address: registered %v, ready %v", entries, r.Ready(t.Context()))
		}
		before := asked.Load()
		time.Sleep(time.Minute)
		synctest.Wait()
		if again := asked.Load() - before; again > 0 {
			t.Errorf("asked %d times more for what is known", again)
		}
	})
}

func TestASearchForTheOwnAddressIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var searches atomic.Int64
		_, stop := runs(t, relay.Config{Address: func(ctx context.Context) (string, error) {
			searches.Add(1)
			<-ctx.Done()
			return "", ctx.Err()
		}}, newRegistry(0))

		time.Sleep(time.Minute)
		synctest.Wait()
		if n := searches.Load(); n < 10 {
			t.Errorf("%d searches in a minute", n)
		}
		stop() // within one
	})
}

func TestAnEdgeWithoutOthersReadsTheSecretAndIsNotFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(0)
		r, stop := runs(t, relay.Config{}, reg)
		defer stop()
		synctest.Wait()

		if entries, _ := reg.entries(); r.Ready(t.Context()) != nil || entries[r.SessionID("")] != "" {
			t.Errorf("ready %v, registered %v", r.Ready(t.Context()), entries)
		}
	})
}

func TestWhoLooksForAnEdgeThatHasJustComeFindsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(time.Millisecond)
		a, stopA := runs(t, relay.Config{Address: at("a:1")}, reg)
		defer stopA()
		time.Sleep(10 * time.Millisecond)
		b, stopB := runs(t, relay.Config{Address: at("b:1")}, reg)
		defer stopB()
		time.Sleep(10 * time.Millisecond)

		if got := a.AddressOf(b.SessionID("x")); got != "b:1" {
			t.Errorf("found %q", got)
		}
		if got := a.AddressOf(a.SessionID("x")); got != "" {
			t.Errorf("an edge is reached at %q by itself", got)
		}
	})
}

// Whatever ids people make up, an edge asks the registry for them five times in a second, one call after the other.
func TestManyWhoLookForNobodyShareOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry(50 * time.Millisecond)
		r, stop := runs(t, relay.Config{Address: at("a:1")}, reg)
		time.Sleep(500 * time.Millisecond)
		_, before := reg.entries()

		const seconds = 4
		began := time.Now()
		var looking sync.WaitGroup
		for range 100 {
			looking.Go(func() {
				for time.Since(began) < seconds*time.Second {
					if got := r.AddressOf("somebody-unknown-here"); got != "" {
						t.Errorf("found %q", got)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		looking.Wait()
		stop()

		if _, calls := reg.entries(); calls-before > 5*seconds+1 || calls-before < seconds {
			t.Errorf("%d calls in %d seconds", calls-before, seconds)
		}
		if most := reg.together(); most > 1 {
			t.Errorf("%d calls at a time", most)
		}
	})
}

func TestNothingIsRegisteredAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for after := range 50 {
			reg := newRegistry(50 * time.Millisecond)
			r, stop := runs(t, relay.Config{Address: at("a:1")}, reg)
			var late sync.WaitGroup
			for i := range 100 { // some before the end, some at it, some after it
				late.Go(func() {
					time.Sleep(time.Duration(i) * 10 * time.Millisecond)
					r.AddressOf("somebody-unknown-here")
				})
			}
			time.Sleep(500*time.Millisecond + time.Duration(after)*10*time.Millisecond)

			stop()
			late.Wait()
			time.Sleep(time.Second)
			synctest.Wait()

			if entries, _ := reg.entries(); len(entries) > 0 {
				t.Fatalf("stopped in step %d: still registered: %v", after, entries)
			}
		}
	})
}

func TestNobodyWaitsForTheRegistryLongerThanTheEdgeLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, stop := runs(t, relay.Config{Address: at("a:1")}, newRegistry(time.Millisecond))
		time.Sleep(500 * time.Millisecond)
		stop()
		time.Sleep(time.Second)

		began := time.Now()
		r.AddressOf("somebody-unknown-here")

		if took := time.Since(began); took > 0 {
			t.Errorf("waited %v after the end", took)
		}
	})
}
