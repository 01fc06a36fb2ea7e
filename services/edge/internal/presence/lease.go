package presence

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
)

// lease is how this edge is known to the others, and what it knows of them. Only Run touches it.
type lease struct {
	edge    string              // random, new for each lease
	begun   bool                // the store knows the id
	started time.Time           // of the last renewal that succeeded, before the call
	renewed time.Time           // of the same, after it
	since   time.Time           // of the first of those without an interruption up to now
	known   map[string]struct{} // edges that are or were there
	gone    map[string]struct{} // those whose clients must be counted out
	ticks   int
}

func newLease() lease {
	return lease{edge: uuid.NewString(), known: map[string]struct{}{}, gone: map[string]struct{}{}}
}

// held reports whether the others cannot have buried this edge yet.
func (l *lease) held() bool { return l.begun && time.Since(l.started) < Lease }

// judges reports whether this edge may say that another is gone.
func (l *lease) judges() bool { return l.held() && l.renewed.Sub(l.since) >= Lease }

// tick looks for lost announcements, renews the lease, and buries who is gone. It returns when to do so again.
func (p *Presence) tick(ctx context.Context) time.Duration {
	p.sweep(ctx) // members first, the list of edges second: who is a member and not on the list is dead
	leases, ok := p.renew(ctx)
	if !ok {
		return retryEvery
	}
	p.look(leases)
	if p.judges() {
		p.bury(ctx, leases.Ended)
		p.drop(ctx)
	}
	return renewEvery
}

// renew prolongs the lease. Who lost it was counted out and comes back as another.
func (p *Presence) renew(ctx context.Context) (eventlog.Leases, bool) {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	started := time.Now()
	var leases eventlog.Leases
	var err error
	if p.begun {
		leases, err = p.store.RenewLease(ctx, p.edge)
	}
	if errors.Is(err, eventlog.ErrLeaseLost) {
		p.log.Warn("lease lost, counting again under a new id", "edge", p.edge)
		p.metrics.lost.Inc()
		p.rename()
	}
	if !p.begun {
		err = p.store.BeginLease(ctx, p.edge)
	}
	p.note(err, "renew the lease")
	if err != nil {
		return leases, false
	}
	now := time.Now()
	if !p.begun || now.Sub(p.renewed) > interruption {
		p.since = now
	}
	p.begun, p.started, p.renewed = true, started, now
	return leases, true
}

// rename takes a new id and has every count written again under it, in the place of the old one.
func (p *Presence) rename() {
	old := p.edge
	p.edge, p.begun = uuid.NewString(), false
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.counts {
		if c.here > 0 || c.written > 0 {
			c.written, c.unsure, c.dead = 0, true, append(c.dead, old)
			p.changed(c)
		}
	}
}

// look notes which edges are no longer on the list. A dead id never comes back, so that stays true.
func (p *Presence) look(leases eventlog.Leases) {
	if leases.Living == nil {
		return // the lease has just begun
	}
	listed := map[string]struct{}{}
	for _, id := range slices.Concat(leases.Living, leases.Ended) {
		listed[id] = struct{}{}
	}
	for id := range p.known {
		if _, ok := listed[id]; !ok && id != p.edge {
			p.gone[id] = struct{}{}
		}
	}
	p.known = listed
}

// bury makes sure that nobody who has let its lease end comes back under the same id.
func (p *Presence) bury(ctx context.Context, ended []string) {
	ended = slices.DeleteFunc(slices.Clone(ended), func(id string) bool { return id == p.edge })
	if len(ended) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	dead, err := p.store.Bury(ctx, ended...)
	p.note(err, "bury edges")
	for _, id := range dead {
		p.gone[id] = struct{}{}
		delete(p.known, id)
	}
}

// drop counts out the clients of the edges that are gone, in all sessions that are open here.
func (p *Presence) drop(ctx context.Context) {
	for id := range p.gone {
		p.metrics.buried.Inc()
		p.log.Info("edge is gone", "edge", id)
		done := true
		for part := range slices.Chunk(p.open(), batch) {
			ctx, cancel := context.WithTimeout(ctx, callBound)
			results := p.store.Drop(ctx, id, sessionsOf(part))
			cancel()
			done = p.take(part, results, "drop") && done
		}
		if done {
			delete(p.gone, id)
		}
	}
}

// open are the counts of sessions that are open here.
func (p *Presence) open() []*count {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := slices.Collect(maps.Values(p.counts))
	return slices.DeleteFunc(open, func(c *count) bool { return c.open == nil })
}

func sessionsOf(counts []*count) []uuid.UUID {
	ids := make([]uuid.UUID, len(counts))
	for i, c := range counts {
		ids[i] = c.session
	}
	return ids
}

// sweep reads a part of the sessions: announcements that the channel lost, and entries that are not what this edge wrote.
func (p *Presence) sweep(ctx context.Context) {
	p.ticks++
	part := slices.DeleteFunc(p.open(), func(c *count) bool { return int(c.session[15])%sweepTicks != p.ticks%sweepTicks })
	for part := range slices.Chunk(part, batch) {
		ctx, cancel := context.WithTimeout(ctx, callBound)
		results, err := p.store.Present(ctx, sessionsOf(part))
		cancel()
		if p.note(err, "read counts"); err != nil {
			return
		}
		p.take(part, results, "store")
	}
}
