package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
)

const (
	registered = 15 * time.Second       // how long an entry lasts
	renewEvery = 2 * time.Second        // entries are renewed, and read
	readEvery  = 200 * time.Millisecond // the table is read no more often than that, whatever ids are looked for
	findBound  = 3 * time.Second        // of one search for the own address
	callBound  = time.Second            // of one call to the registry
)

// Registry is where edges find each other; *eventlog.Log is one.
type Registry interface {
	Register(ctx context.Context, edge, address string, within time.Duration, secret []byte) (eventlog.Edges, error)
	Unregister(ctx context.Context, edge string) error
}

// table is what the registry said last. It does not change.
type table struct {
	edges *eventlog.Edges // nil until it has said anything
	asked time.Time       // when it was asked, with or without an answer
	next  chan struct{}   // closed when there is another table
}

func (t *table) address(edge string) string {
	if t.edges == nil {
		return ""
	}
	return t.edges.Addresses[edge]
}

// keep registers the edge and reads who else is there, until ctx ends; then it takes the edge out. Nobody else speaks to the
// registry, so nothing is registered again afterwards.
func (r *Relay) keep(ctx context.Context) {
	for ctx.Err() == nil {
		pause := renewEvery
		if !r.renew(ctx) {
			pause = readEvery
		}
		r.rest(ctx, pause/2+rand.N(pause/2))
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), callBound)
	defer cancel()
	if r.own == "" {
		return
	}
	if err := r.registry.Unregister(last, r.id); err != nil {
		r.log.Debug("edge stays registered until its time is over", "err", err)
	}
}

// rest waits for the time of the next renewal, or until one is wanted and the last is long enough ago.
func (r *Relay) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
		return
	case <-r.wanted:
	}
	timer.Reset(time.Until(r.table.Load().asked.Add(readEvery)))
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// renew makes a new table.
func (r *Relay) renew(ctx context.Context) bool {
	was := r.table.Load()
	now := &table{edges: was.edges, asked: time.Now(), next: make(chan struct{})}
	edges, err := r.register(ctx)
	if err == nil {
		now.edges = &edges
	} else {
		r.log.Debug("edge cannot be registered", "err", err)
	}
	r.table.Store(now)
	close(was.next)
	return err == nil
}

// register speaks to the registry if the edge's own address is known.
func (r *Relay) register(ctx context.Context) (eventlog.Edges, error) {
	if r.own == "" && r.cfg.Address != nil {
		find, cancel := context.WithTimeout(ctx, findBound)
		defer cancel()
		var err error
		if r.own, err = r.cfg.Address(find); err != nil {
			return eventlog.Edges{}, fmt.Errorf("own address: %w", err)
		}
	}
	// A call that was given up may take effect later than the one that takes the edge out, so the end of ctx does not end it.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callBound)
	defer cancel()
	return r.registry.Register(call, r.id, r.own, registered, r.Secret())
}

// Ready says whether other edges can find this one.
func (r *Relay) Ready(context.Context) error {
	if r.table.Load().edges == nil {
		return errUnregistered
	}
	return nil
}

// Secret is what all edges sign tokens with: the one in the registry, which may change if that loses its data, or an own one
// until that has been read.
func (r *Relay) Secret() []byte {
	if edges := r.table.Load().edges; edges != nil {
		return edges.Secret
	}
	return r.drawn
}

// address finds where an edge can be reached; empty if it is not registered, or is this one. An edge that is not in the table
// may have come since that was read, so it is read again, unless it never was.
func (r *Relay) address(edge string) string {
	if edge == r.id || r.cfg.Address == nil {
		return ""
	}
	came, known := time.Now(), r.table.Load()
	for known.edges != nil && known.address(edge) == "" && known.asked.Before(came) && r.life.Err() == nil {
		select {
		case r.wanted <- struct{}{}:
		default: // it is wanted already
		}
		select {
		case <-known.next:
		case <-r.life.Done():
		}
		known = r.table.Load()
	}
	return known.address(edge)
}
