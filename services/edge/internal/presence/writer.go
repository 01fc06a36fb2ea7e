package presence

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// Run holds the lease, writes changes and answers questions until ctx ends; then it takes all clients of this edge out of
// their sessions and ends the lease.
func (p *Presence) Run(ctx context.Context) error {
	renew := time.NewTimer(0)
	defer renew.Stop()
	write := time.NewTimer(time.Hour)
	defer write.Stop()
	for {
		select {
		case <-ctx.Done():
			p.finish(context.WithoutCancel(ctx))
			return nil
		case <-renew.C:
			renew.Reset(p.tick(ctx))
		case <-write.C:
			p.flush(ctx)
		case <-p.wake:
			p.answer(ctx)
		}
		write.Reset(p.rest())
	}
}

// rest is how long nothing is due.
func (p *Presence) rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = time.Time{}
	for c := range p.dirty {
		if p.next.IsZero() || c.due.Before(p.next) {
			p.next = c.due
		}
	}
	if p.next.IsZero() {
		return time.Hour
	}
	return time.Until(p.next)
}

// flight is one write on its way.
type flight struct {
	count   *count
	clients int
	entered uint64
	since   changes
	one     uuid.UUID // who came or went, if that is all that the write tells
	left    bool      // there are fewer than were written
	swapped bool      // others are there than were written, be it as many
	number  uint64    // greater than those of all writes before
}

// flush writes the counts that are due. What cannot be written stays due.
func (p *Presence) flush(ctx context.Context) {
	if !p.held() {
		p.renew(ctx)
	}
	now := time.Now()
	for part := range slices.Chunk(p.takeOff(now), batch) {
		p.write(ctx, part)
	}
}

// takeOff collects what is due.
func (p *Presence) takeOff(now time.Time) []flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	var flights []flight
	for c := range p.dirty {
		switch {
		case c.due.After(now):
		case !p.held():
			c.due = now.Add(retryEvery)
		default:
			delete(p.dirty, c)
			flights = append(flights, p.depart(c))
		}
	}
	return flights
}

// depart begins a write of c; the caller holds mu.
func (p *Presence) depart(c *count) flight {
	p.number = max(p.number+1, uint64(time.Now().UnixMilli()))
	f := flight{count: c, clients: c.here, left: c.here < c.written, entered: c.entered, since: c.since, number: p.number}
	f.one, f.swapped = f.since.one(c.here-c.written), !c.unsure && f.since.any()
	c.since, c.flying = changes{}, true
	return f
}

// write stores counts and tells their sessions what came of it. It reports whether the store is there.
func (p *Presence) write(ctx context.Context, flights []flight) bool {
	counts := make([]eventlog.Count, len(flights))
	for i, f := range flights {
		counts[i] = eventlog.Count{
			Session: f.count.session, Clients: f.clients, Client: f.one, Left: f.left, Dead: f.count.dead, Swapped: f.swapped, Number: f.number,
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callBound)
	results := p.store.Announce(ctx, p.edge, counts)
	cancel()
	for i, f := range flights {
		p.land(f, results[i])
	}
	return !slices.ContainsFunc(results, func(r eventlog.Present) bool { return errors.Is(r.Err, eventlog.ErrUnavailable) })
}

// land takes over the result of one write.
func (p *Presence) land(f flight, r eventlog.Present) {
	p.note(r.Err, "write a count")
	p.mu.Lock()
	c := f.count
	c.flying, c.wrote = false, time.Now()
	news := hub.News{Counted: f.entered}
	switch {
	case r.Err == nil:
		c.written, c.unsure, c.dead = f.clients, false, nil
		if news.Event = c.read(r, p.edge); news.Event != "" {
			p.metrics.news.WithLabelValues("write").Inc()
		}
		news.Who = wire.Presence{Seq: r.Seq, Prev: r.Prev, Count: uint64(r.Clients)}
		if r.Named {
			news.Who.Client = f.one
		}
		p.meet(r.Edges)
	case errors.Is(r.Err, eventlog.ErrNoSession):
		c.written, c.unsure, c.dead = f.clients, false, nil // there is nothing to be in
	default:
		c.unsure = true
		c.since.merge(f.since)
	}
	p.changed(c)
	if c.unsure {
		c.due = time.Now().Add(max(retryEvery, c.interval()))
	}
	p.tidy(c)
	open := c.open
	p.mu.Unlock()
	if open != nil && r.Err == nil {
		open.tell(news)
	}
}

// finish answers what is open, takes all clients out of their sessions and ends the lease.
func (p *Presence) finish(ctx context.Context) {
	p.mu.Lock()
	p.ended = true
	asked := p.asked
	p.asked = nil
	var flights []flight
	for _, c := range p.counts {
		if c.since.others, c.here = c.since.others+c.here, 0; c.unwritten() {
			flights = append(flights, p.depart(c))
		}
	}
	p.mu.Unlock()
	for _, s := range asked {
		s.tell(hub.News{})
	}
	if !p.begun {
		return
	}
	for part := range slices.Chunk(flights, batch) {
		if !p.write(ctx, part) {
			return // the lease ends by itself, and the others count these clients out
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	p.note(p.store.EndLease(ctx, p.edge), "end the lease")
}
