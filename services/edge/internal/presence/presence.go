// Package presence counts the clients of each session over all edges. Each edge
// holds one lease and writes, per session, how many clients it has; the clients of
// an edge whose lease ends no longer count.
//
// It promises that in the steady state Redis sees one call per lease renewal,
// however many sessions and clients there are; that changes of a session are
// written at most once per coalescing interval and never before the lease is held;
// and that none of its methods waits for Redis. It does not announce who came and
// went, and a count may be older than the last change on another edge.
//
// Its only goroutine is the caller of [Presence.Run].
package presence

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	renewEvery = 2 * time.Second       // a lease is three times as long
	coalesce   = 50 * time.Millisecond // changes within it are written once
	callBound  = time.Second           // of one call to the store
)

// Store keeps leases and counts; *eventlog.Log is one.
type Store interface {
	RenewLease(ctx context.Context, edge string) error
	EndLease(ctx context.Context, edge string) error
	SetClients(ctx context.Context, session uuid.UUID, edge string, n int) error
	Clients(ctx context.Context, sessions ...uuid.UUID) (map[uuid.UUID]int, error)
}

// Presence counts the clients of one edge. It is safe for concurrent use.
type Presence struct {
	store  Store
	log    *slog.Logger
	writes *prometheus.CounterVec // by result
	wake   chan struct{}          // capacity 1

	mu     sync.Mutex
	counts map[uuid.UUID]*count
	dirty  map[uuid.UUID]*count
	asked  map[uuid.UUID][]func(others int)
	ended  bool

	// Owned by Run.
	edge   string // random, new for each lease
	leased bool
	retry  bool // the last write failed: wait for the next renewal
}

// count is what this edge has in one session.
type count struct {
	here    int // clients now
	written int // clients in the store, under the current lease; only Run reads and writes it
}

// New returns a presence that counts from the start and writes once it runs. The
// metrics are registered with reg.
func New(store Store, reg prometheus.Registerer, log *slog.Logger) *Presence {
	p := &Presence{
		store: store, log: log, wake: make(chan struct{}, 1), edge: newID(),
		counts: map[uuid.UUID]*count{}, dirty: map[uuid.UUID]*count{}, asked: map[uuid.UUID][]func(int){},
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_presence_writes_total", Help: "Client counts and leases written, by result.",
		}, []string{"result"}),
	}
	reg.MustRegister(p.writes)
	return p
}

func newID() string { return uuid.NewString() }

// Enter counts one more client of the session and returns how many there are here.
func (p *Presence) Enter(session uuid.UUID) int { return p.add(session, 1) }

// Leave counts one client of the session less.
func (p *Presence) Leave(session uuid.UUID) { p.add(session, -1) }

func (p *Presence) add(session uuid.UUID, n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts[session]
	if c == nil {
		c = new(count)
		p.counts[session] = c
	}
	c.here = max(0, c.here+n)
	p.dirty[session] = c
	p.signal()
	return c.here
}

// Others calls then with the number of the session's clients on other edges, or
// with 0 when the store does not tell in time. Questions that come together are
// asked together. It is called by Run's goroutine, or by the caller's when Run has
// ended.
func (p *Presence) Others(session uuid.UUID, then func(others int)) {
	p.mu.Lock()
	ended := p.ended
	if !ended {
		p.asked[session] = append(p.asked[session], then)
		p.signal()
	}
	p.mu.Unlock()
	if ended {
		then(0)
	}
}

// signal wakes Run; the caller holds mu.
func (p *Presence) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
