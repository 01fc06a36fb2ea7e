// Package presence counts the clients of each session over all edges and announces who comes and goes (api.md, part 7;
// the protocol is pkg/eventlog's). Each edge holds one lease and writes, per session, how many clients it has; there is no
// leader, and the clients of an edge that is gone are announced gone exactly once, by whichever edge comes first.
//
// It promises that what it costs Redis grows with edges and sessions and never with clients: one lease per edge, one write
// per session and interval however many came and went, and one read of each session now and then that finds announcements
// which the channel has lost. Nothing is written without a lease. An edge judges others only after it has held its own for
// a whole lease without interruption: after a pause of Redis nobody is announced gone who is there. None of its methods
// waits for Redis.
//
// How often a session is written: at once but for 50 ms in which changes are collected, and again not before its interval
// is over, which is so long that the announcements of all its edges together are at most 2,000 frames per second to all
// its clients, or one per edge in 5 s. So n clients that join within t seconds cause at most 2,000·t frames besides the
// n that tell each of them about itself, and not n².
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

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// Lease is for how long an edge counts as alive without a renewal. The store must use the same.
const Lease = 6 * time.Second

const (
	renewEvery   = 2 * time.Second        // a lease is three times as long
	retryEvery   = 250 * time.Millisecond // after a call that failed
	callBound    = time.Second            // of one call to the store
	interruption = renewEvery + callBound // between two renewals: whoever waited longer cannot judge others
	sweepTicks   = 3                      // renewals in which every session is read once

	coalesce    = 50 * time.Millisecond  // changes within it are written once
	perFrame    = 500 * time.Microsecond // of the interval, for each client and edge of a session
	maxInterval = 5 * time.Second
	batch       = 500 // sessions per call
)

// Leases keeps the leases of edges; *eventlog.Log does.
type Leases interface {
	BeginLease(ctx context.Context, edge string) error
	RenewLease(ctx context.Context, edge string) (eventlog.Leases, error)
	EndLease(ctx context.Context, edge string) error
	Leases(ctx context.Context) (eventlog.Leases, error)
	Bury(ctx context.Context, edges ...string) ([]string, error)
}

// Store keeps leases and counts; *eventlog.Log is one.
type Store interface {
	Leases
	Announce(ctx context.Context, edge string, counts []eventlog.Count) []eventlog.Present
	Drop(ctx context.Context, dead string, sessions []uuid.UUID) []eventlog.Present
	Present(ctx context.Context, sessions []uuid.UUID) ([]eventlog.Present, error)
}

// Presence counts the clients of one edge. It is safe for concurrent use.
type Presence struct {
	store   Store
	log     *slog.Logger
	metrics metrics
	wake    chan struct{} // capacity 1

	mu     sync.Mutex
	counts map[uuid.UUID]*count
	dirty  map[*count]struct{} // to be written
	asked  []*Session          // opened, nothing told yet
	next   time.Time           // when Run writes again; zero: nothing is due
	number uint64              // of the newest write
	ended  bool

	lease // of Run
}

// New returns a presence that counts from the start and writes once it runs. The metrics are registered with reg.
func New(store Store, reg prometheus.Registerer, log *slog.Logger) *Presence {
	return &Presence{
		store: store, log: log, metrics: newMetrics(reg), wake: make(chan struct{}, 1),
		counts: map[uuid.UUID]*count{}, dirty: map[*count]struct{}{}, lease: newLease(),
	}
}

// Open implements hub.Presence. Tell is called by Run's goroutine, or by the caller's when Run has ended. What it is told
// never goes back, also when the store loses its data.
func (p *Presence) Open(session uuid.UUID, tell func(hub.News)) hub.Counter {
	p.mu.Lock()
	c := p.counts[session]
	if c == nil {
		c = &count{session: session, edges: 1}
		p.counts[session] = c
	}
	s := &Session{presence: p, count: c, tell: tell}
	c.open = s
	ended := p.ended
	if !ended {
		p.asked = append(p.asked, s)
		p.signal()
	}
	p.mu.Unlock()
	if ended {
		tell(hub.News{})
	}
	return s
}

// signal wakes Run; the caller holds mu.
func (p *Presence) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// changed has a count written when it is due; the caller holds mu.
func (p *Presence) changed(c *count) {
	if _, dirty := p.dirty[c]; dirty || !c.unwritten() || p.ended {
		return
	}
	c.due = time.Now().Add(coalesce)
	if again := c.wrote.Add(c.interval()); again.After(c.due) {
		c.due = again
	}
	p.dirty[c] = struct{}{}
	if p.next.IsZero() || c.due.Before(p.next) {
		p.signal()
	}
}

// tidy forgets a count that nobody needs; the caller holds mu.
func (p *Presence) tidy(c *count) {
	if c.open == nil && c.here == 0 && !c.unwritten() {
		delete(p.dirty, c)
		if p.counts[c.session] == c {
			delete(p.counts, c.session)
		}
	}
}

// metrics count calls to the store and what became of other edges.
type metrics struct {
	calls  *prometheus.CounterVec // by result
	buried prometheus.Counter
	lost   prometheus.Counter
	news   *prometheus.CounterVec // by source
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_presence_calls_total", Help: "Calls that write or read leases and client counts, by result.",
		}, []string{"result"}),
		buried: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "talus_presence_edges_buried_total", Help: "Other edges whose lease ended and whose clients were counted out.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "talus_presence_leases_lost_total", Help: "Leases of this edge that others took for ended.",
		}),
		news: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_presence_announcements_total", Help: "Announcements, by how this edge learned of them first.",
		}, []string{"from"}),
	}
	reg.MustRegister(m.calls, m.buried, m.lost, m.news)
	return m
}

func (p *Presence) note(err error, what string) {
	if err == nil {
		p.metrics.calls.WithLabelValues("ok").Inc()
		return
	}
	p.metrics.calls.WithLabelValues("error").Inc()
	p.log.Debug("store refused", "call", what, "err", err)
}
