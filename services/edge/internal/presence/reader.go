package presence

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// meet remembers edges that are in a session.
func (p *Presence) meet(edges map[string]int) {
	for id := range edges {
		p.known[id] = struct{}{}
	}
}

// take takes over what the store says of open sessions and tells those for which that is new. It reports whether all of
// them could be read.
func (p *Presence) take(counts []*count, results []eventlog.Present, from string) bool {
	done := true
	for i, c := range counts {
		r := results[i]
		if r.Err != nil {
			done = done && errors.Is(r.Err, eventlog.ErrNoSession)
			continue
		}
		p.meet(r.Edges)
		p.mu.Lock()
		var event wire.EventName
		if r.Seq > 0 {
			event = c.read(r, p.edge)
		}
		if _, dirty := p.dirty[c]; from == "store" && !dirty && r.Edges[p.edge] != c.written {
			c.unsure = true // a write that was given up for lost came late
			p.changed(c)
		}
		open := c.open
		p.mu.Unlock()
		if open != nil && event != "" {
			p.metrics.news.WithLabelValues(from).Inc()
			open.tell(hub.News{Event: event, Who: wire.Presence{Seq: r.Seq, Count: uint64(r.Clients)}})
		}
	}
	return done
}

// answer tells the sessions that were opened who is there. Edges that are members and not on the list are dead: their
// entries go with the first write.
func (p *Presence) answer(ctx context.Context) {
	p.mu.Lock()
	asked := p.asked
	p.asked = nil
	p.mu.Unlock()
	for part := range slices.Chunk(asked, batch) {
		ids := make([]uuid.UUID, len(part))
		for i, s := range part {
			ids[i] = s.count.session
		}
		results, listed, err := p.members(ctx, ids)
		p.note(err, "read who is there")
		for i, s := range part {
			if err != nil || results[i].Err != nil {
				s.tell(hub.News{})
				continue
			}
			s.tell(p.first(s.count, results[i], listed))
		}
	}
}

func (p *Presence) members(ctx context.Context, ids []uuid.UUID) ([]eventlog.Present, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	results, err := p.store.Present(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	leases, err := p.store.Leases(ctx)
	return results, slices.Concat(leases.Living, leases.Ended), err
}

// first is what a session is told at first.
func (p *Presence) first(c *count, r eventlog.Present, listed []string) hub.News {
	p.meet(r.Edges)
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range maps.Keys(r.Edges) {
		if id != p.edge && !slices.Contains(listed, id) && !slices.Contains(c.dead, id) {
			c.dead = append(c.dead, id)
		}
	}
	for _, id := range c.dead {
		r.Clients -= r.Edges[id]
		delete(r.Edges, id)
	}
	if r.Seq > 0 {
		c.read(r, p.edge)
	}
	return hub.News{Who: wire.Presence{Seq: r.Seq, Count: uint64(r.Clients)}}
}
