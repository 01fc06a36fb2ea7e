package socket

import (
	"context"
	"sync"
)

// registry knows every connection of a server. A connection's place in it is an index and a generation: the generation
// grows when the index is used again, so an old event can never be taken for one of the new connection.
type registry struct {
	mu     sync.Mutex
	conns  []*Conn
	gens   []uint32
	free   []uint32
	open   int // from reserve until done
	seats  tally
	guests tally
	quit   func() closure // set when no connection is accepted any more
	empty  chan struct{}  // closed when quit is set and open is 0
}

// tally counts connections, and those of each client address while that is bounded.
type tally struct {
	all    int
	houses map[household]int
	most   Limits
}

func (t *tally) refusal(from household) Refusal {
	switch l := t.most; {
	case l.Connections > 0 && t.all >= l.Connections:
		return Full
	case l.PerAddress > 0 && t.houses[from] >= l.PerAddress:
		return Crowded
	default:
		return ""
	}
}

func (t *tally) add(from household) {
	t.all++
	if t.most.PerAddress > 0 {
		t.houses[from]++
	}
}

func (t *tally) remove(from household) {
	t.all--
	if t.most.PerAddress == 0 {
		return
	}
	if t.houses[from]--; t.houses[from] <= 0 {
		delete(t.houses, from)
	}
}

func newRegistry(l Limits) *registry {
	bound := func(times int) tally {
		return tally{houses: map[household]int{}, most: Limits{Connections: times * l.Connections, PerAddress: times * l.PerAddress}}
	}
	// A host may have a guest that takes over and one that comes too late, which is let in to be told so.
	return &registry{seats: bound(1), guests: bound(2), empty: make(chan struct{})}
}

// refusal is why a connection from a client address is not accepted now; empty if it is.
func (r *registry) refusal(from household, guest bool) Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.judge(from, guest)
}

func (r *registry) judge(from household, guest bool) Refusal {
	if r.quit != nil {
		return Draining
	}
	return r.tally(guest).refusal(from)
}

func (r *registry) tally(guest bool) *tally {
	if guest {
		return &r.guests
	}
	return &r.seats
}

// reserve counts a connection that is about to open, unless it is refused; then quit is how it ends if the server is
// closing.
func (r *registry) reserve(from household, k *Kind) (no Refusal, quit closure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if no = r.judge(from, k.Guest); no != "" {
		if r.quit != nil {
			quit = r.quit()
		}
		return no, quit
	}
	r.open++
	r.tally(k.Guest).add(from)
	return "", closure{}
}

// seat counts a connection that somebody else carries, unless it is refused. Unseat undoes it.
func (r *registry) seat(from household) Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	no := r.judge(from, false)
	if no == "" {
		r.seats.add(from)
	}
	return no
}

func (r *registry) unseat(from household) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seats.remove(from)
}

// publish gives a reserved connection its place. If the server began to close in the meantime, so does the connection.
func (r *registry) publish(c *Conn) {
	r.mu.Lock()
	if n := len(r.free); n > 0 {
		c.index, r.free = r.free[n-1], r.free[:n-1]
	} else {
		c.index = uint32(len(r.conns))
		r.conns, r.gens = append(r.conns, nil), append(r.gens, 1)
	}
	c.gen = r.gens[c.index]
	r.conns[c.index] = c
	quit := r.quit
	r.mu.Unlock()
	if quit != nil {
		c.close(quit())
	}
}

// remove takes a connection out of its place.
func (r *registry) remove(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(c.index) < len(r.conns) && r.conns[c.index] == c {
		r.conns[c.index] = nil
		r.gens[c.index]++
		r.free = append(r.free, c.index)
	}
}

// over is the end of a connection: the last thing that is done with it.
func (r *registry) over(c *Conn) {
	r.remove(c)
	if c.reader != nil {
		c.rules.readers.put(c.reader)
		c.reader = nil
	}
	e, _ := c.queue.ending()
	c.client.Closed(e.cause)
	if !c.kind.Guest {
		c.rules.count.closed.Add(1)
	}
	r.done(c.house, c.kind)
	if to := c.borrower.Load(); to != nil && to.speaksThrough(c) {
		r.over(to)
	}
}

// done uncounts a connection: its Client knows that it is over.
func (r *registry) done(from household, k *Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	r.tally(k.Guest).remove(from)
	r.tell()
}

func (r *registry) tell() {
	if r.quit == nil || r.open > 0 {
		return
	}
	select {
	case <-r.empty:
	default:
		close(r.empty)
	}
}

// refuse ends the acceptance of connections. The first call decides how those that are still opening end.
func (r *registry) refuse(end func() closure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quit == nil {
		r.quit = end
	}
	r.tell()
}

// part returns every step-th connection from the first on, in dst.
func (r *registry) part(dst []*Conn, first, step int) []*Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := first; i < len(r.conns); i += step {
		if c := r.conns[i]; c != nil {
			dst = append(dst, c)
		}
	}
	return dst
}

// find resolves places to connections under one lock; a place whose generation has passed resolves to nil.
func (r *registry) find(dst []*Conn, places []place) []*Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range places {
		var c *Conn
		if int(p.index) < len(r.conns) && r.gens[p.index] == p.gen {
			c = r.conns[p.index]
		}
		dst = append(dst, c)
	}
	return dst
}

// place is where a connection stands in the registry.
type place struct{ index, gen uint32 }

// wait returns when all connections are over, or with the context's error.
func (r *registry) wait(ctx context.Context) error {
	select {
	case <-r.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
