package presence

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
)

// Run holds the lease, writes changes and answers questions until ctx ends; then it
// writes what has changed since and ends the lease.
func (p *Presence) Run(ctx context.Context) error {
	renew := time.NewTicker(renewEvery)
	defer renew.Stop()
	write := time.NewTimer(0)
	defer write.Stop()
	for {
		select {
		case <-ctx.Done():
			p.finish(context.WithoutCancel(ctx))
			return nil
		case <-renew.C:
			p.renew(ctx)
			p.retry = false
			write.Reset(0)
		case <-write.C:
			p.flush(ctx)
		case <-p.wake:
			p.answer(ctx)
			if !p.retry {
				write.Reset(coalesce)
			}
		}
	}
}

// renew prolongs the lease. Who lost it was counted out and comes back as another.
func (p *Presence) renew(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	err := p.store.RenewLease(ctx, p.edge)
	if errors.Is(err, eventlog.ErrLeaseLost) {
		p.log.Warn("lease lost, counting again under a new id", "edge", p.edge)
		p.writes.WithLabelValues("lease_lost").Inc()
		p.edge = newID()
		p.recount()
		err = p.store.RenewLease(ctx, p.edge)
	}
	p.leased = err == nil
	p.note(err, "renew the lease")
}

// recount makes every count unwritten.
func (p *Presence) recount() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for session, c := range p.counts {
		c.written = 0
		p.dirty[session] = c
	}
}

// flush writes the counts that have changed. Those it cannot write wait for the
// next renewal.
func (p *Presence) flush(ctx context.Context) {
	if !p.leased {
		if p.renew(ctx); !p.leased {
			p.retry = true
			return
		}
	}
	for session, here := range p.changed() {
		ctx, cancel := context.WithTimeout(ctx, callBound)
		err := p.store.SetClients(ctx, session, p.edge, here)
		cancel()
		if err != nil && !errors.Is(err, eventlog.ErrNoSession) {
			p.note(err, "write a count")
			p.retry = true
			return
		}
		p.note(nil, "")
		p.written(session, here)
	}
}

// changed is what the store does not know yet.
func (p *Presence) changed() map[uuid.UUID]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[uuid.UUID]int, len(p.dirty))
	for session, c := range p.dirty {
		out[session] = c.here
	}
	return out
}

// written notes what the store knows now and forgets sessions without clients.
func (p *Presence) written(session uuid.UUID, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts[session]
	if c.written = n; c.here != n {
		return
	}
	delete(p.dirty, session)
	if n == 0 {
		delete(p.counts, session)
	}
}

// answer asks for the counts of all sessions in question at once.
func (p *Presence) answer(ctx context.Context) {
	p.mu.Lock()
	asked := p.asked
	own := map[uuid.UUID]int{}
	sessions := make([]uuid.UUID, 0, len(asked))
	for session := range asked {
		sessions = append(sessions, session)
		if c := p.counts[session]; c != nil && p.leased {
			own[session] = c.written
		}
	}
	p.asked = map[uuid.UUID][]func(int){}
	p.mu.Unlock()
	if len(asked) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	total, err := p.store.Clients(ctx, sessions...)
	p.note(err, "read counts")
	for session, waiting := range asked {
		for _, then := range waiting {
			then(max(0, total[session]-own[session]))
		}
	}
}

// finish answers what is open, writes the last changes and ends the lease.
func (p *Presence) finish(ctx context.Context) {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	p.answer(ctx)
	if p.leased {
		p.flush(ctx)
		p.note(p.store.EndLease(ctx, p.edge), "end the lease")
	}
}

func (p *Presence) note(err error, what string) {
	if err == nil {
		p.writes.WithLabelValues("ok").Inc()
		return
	}
	p.writes.WithLabelValues("error").Inc()
	p.log.Debug("store refused", "call", what, "err", err)
}
