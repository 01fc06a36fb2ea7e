package presence_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// store behaves like the leases, counts and channels in Redis.
type store struct {
	mu       sync.Mutex
	paused   bool // answers nobody
	deaf     bool // loses what is published
	leases   map[string]time.Time
	sessions map[uuid.UUID]*presences
	calls    int // round trips
	items    int // commands in them
}

// presences is one session.
type presences struct {
	edges  map[string]int
	newest map[string]uint64 // number of the newest write, by edge
	seq    uint64
	told   []announcement // all that was published
	rooms  []hub.Counter
}

type announcement struct {
	event wire.EventName
	who   wire.Presence
}

func newStore(sessions ...uuid.UUID) *store {
	s := &store{leases: map[string]time.Time{}, sessions: map[uuid.UUID]*presences{}}
	for _, id := range sessions {
		s.sessions[id] = &presences{edges: map[string]int{}, newest: map[string]uint64{}}
	}
	return s
}

// link is one edge's way to the store, which can be cut.
type link struct {
	*store
	cut  bool
	dumb bool // does what it is told, but its answers to writes are lost
	slow bool // holds writes back until they are let go
	held []func()
}

// letsGo lets the writes that were held back reach the store.
func (l *link) letsGo() {
	l.set(func() {
		for _, write := range l.held {
			write()
		}
		l.held = nil
	})
}

var errAway = errors.Join(eventlog.ErrUnavailable)

// call begins a round trip of some commands; the caller unlocks mu if there is no error.
func (l *link) call(ctx context.Context, commands int) error {
	time.Sleep(time.Millisecond)
	l.mu.Lock()
	l.calls++
	l.items += commands
	if !l.paused && !l.cut {
		return nil
	}
	l.mu.Unlock()
	<-ctx.Done()
	return errAway
}

func (l *link) BeginLease(ctx context.Context, edge string) error {
	if err := l.call(ctx, 1); err != nil {
		return err
	}
	defer l.mu.Unlock()
	l.leases[edge] = time.Now().Add(6 * time.Second)
	return nil
}

func (l *link) RenewLease(ctx context.Context, edge string) (eventlog.Leases, error) {
	if err := l.call(ctx, 1); err != nil {
		return eventlog.Leases{}, err
	}
	defer l.mu.Unlock()
	if _, ok := l.leases[edge]; !ok {
		return l.list(), eventlog.ErrLeaseLost
	}
	l.leases[edge] = time.Now().Add(6 * time.Second)
	return l.list(), nil
}

func (l *link) Leases(ctx context.Context) (eventlog.Leases, error) {
	if err := l.call(ctx, 1); err != nil {
		return eventlog.Leases{}, err
	}
	defer l.mu.Unlock()
	return l.list(), nil
}

func (s *store) list() (out eventlog.Leases) {
	for id, end := range s.leases {
		if time.Now().Before(end) {
			out.Living = append(out.Living, id)
		} else {
			out.Ended = append(out.Ended, id)
		}
	}
	return out
}

func (l *link) EndLease(ctx context.Context, edge string) error {
	if err := l.call(ctx, 1); err != nil {
		return err
	}
	defer l.mu.Unlock()
	delete(l.leases, edge)
	return nil
}

func (l *link) Bury(ctx context.Context, edges ...string) (dead []string, err error) {
	if err := l.call(ctx, 1); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	for _, id := range edges {
		if end, ok := l.leases[id]; !ok || !time.Now().Before(end) {
			delete(l.leases, id)
			dead = append(dead, id)
		}
	}
	return dead, nil
}

func (l *link) Announce(ctx context.Context, edge string, counts []eventlog.Count) []eventlog.Present {
	out := make([]eventlog.Present, len(counts))
	if err := l.call(ctx, len(counts)); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	if l.slow {
		l.held = append(l.held, func() { l.announce(edge, counts) })
		l.mu.Unlock()
		<-ctx.Done()
		for i := range out {
			out[i].Err = errAway
		}
		return out
	}
	defer l.mu.Unlock()
	return l.announce(edge, counts)
}

// announce carries out a write; the caller holds mu.
func (l *link) announce(edge string, counts []eventlog.Count) []eventlog.Present {
	out := make([]eventlog.Present, len(counts))
	for i, c := range counts {
		p := l.sessions[c.Session]
		if p == nil {
			out[i].Err = eventlog.ErrNoSession
			continue
		}
		if c.Number <= p.newest[edge] {
			out[i] = p.present("")
			continue
		}
		p.newest[edge] = c.Number
		before, mine := p.total(), p.edges[edge]
		for _, dead := range c.Dead {
			delete(p.edges, dead)
		}
		if p.edges[edge] = c.Clients; c.Clients == 0 {
			delete(p.edges, edge)
		}
		if c.Swapped && p.total() == before {
			before--
		}
		by := 1
		if c.Left {
			by = -1
		}
		if c.Clients-mine != by || p.total()-before != by {
			c.Client = uuid.Nil
		}
		event := l.publish(p, before, c.Client)
		out[i] = p.present(event)
		out[i].Named = event != "" && c.Client != uuid.Nil
		if l.dumb {
			out[i] = eventlog.Present{Err: errAway}
		}
	}
	return out
}

func (l *link) Drop(ctx context.Context, dead string, sessions []uuid.UUID) []eventlog.Present {
	out := make([]eventlog.Present, len(sessions))
	if err := l.call(ctx, len(sessions)); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	defer l.mu.Unlock()
	for i, id := range sessions {
		p := l.sessions[id]
		if p == nil {
			out[i].Err = eventlog.ErrNoSession
			continue
		}
		if _, ok := p.edges[dead]; ok {
			before := p.total()
			delete(p.edges, dead)
			out[i] = p.present(l.publish(p, before, uuid.Nil))
		}
	}
	return out
}

func (l *link) Present(ctx context.Context, sessions []uuid.UUID) ([]eventlog.Present, error) {
	if err := l.call(ctx, len(sessions)); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	out := make([]eventlog.Present, len(sessions))
	for i, id := range sessions {
		if p := l.sessions[id]; p != nil {
			out[i] = p.present("")
		}
	}
	return out, nil
}

func (p *presences) total() (n int) {
	for _, here := range p.edges {
		n += here
	}
	return n
}

func (p *presences) present(event wire.EventName) eventlog.Present {
	return eventlog.Present{Clients: p.total(), Edges: maps.Clone(p.edges), Seq: p.seq, Event: event}
}

// publish announces a sum that has changed; the caller holds mu.
func (s *store) publish(p *presences, before int, client uuid.UUID) wire.EventName {
	a := announcement{event: wire.SessionConnected, who: wire.Presence{Client: client, Count: uint64(p.total())}}
	switch {
	case p.total() == before:
		return ""
	case p.total() < before:
		a.event = wire.SessionDisconnected
	}
	p.seq++
	a.who.Seq = p.seq
	p.told = append(p.told, a)
	if !s.deaf {
		for _, room := range p.rooms {
			room.Heard(a.who)
		}
	}
	return a.event
}

// set changes the store.
func (s *store) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
