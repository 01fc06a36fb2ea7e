package eventlog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of what travels together.
const (
	trips       = 2         // round trips under way at the same time; what comes meanwhile waits for the next
	tripCommits = 64        // in one of them, unless one caller brings more
	tripBytes   = 256 << 10 // who brings more goes alone
)

// errNotSent is for scripts that were still waiting for a trip when their caller's time was over.
var errNotSent = errors.New("nothing was sent in time")

// courier carries the scripts of many callers to the server together: what comes while its trips are under way waits, and
// goes with the next one, so that under load a round trip is shared by dozens. Alone, a script does not wait. Callers know
// nothing of each other: the scripts of each stay in their order, and each has its own error.
//
// It has no goroutine: the trip is made by one of those who wait for it.
type courier struct {
	rdb redis.UniversalClient

	mu      sync.Mutex
	away    int       // trips under way
	waiting []*parcel // in the order of their coming
}

// parcel is what one caller sends.
type parcel struct {
	ctx  context.Context // of the call
	cmds []*redis.Cmd
	size int       // commits in them
	trip []*parcel // with true in turn: what is to be sent, this first
	turn chan bool // true: make the trip; false: it was made
}

var parcels = sync.Pool{New: func() any { return &parcel{turn: make(chan bool, 1)} }}

// carry runs scripts with so many bytes and commits in their order. Each has its own result, unless carry returns an error:
// then none was sent.
func (c *courier) carry(ctx context.Context, bytes, commits int, cmds ...*redis.Cmd) error {
	if _, many := c.rdb.(*redis.ClusterClient); many || bytes > tripBytes { // one server that is slow would hold up the others
		c.send(ctx, cmds)
		return nil
	}
	c.mu.Lock()
	if c.away < trips {
		c.away++
		c.mu.Unlock()
		c.send(ctx, cmds)
		c.next()
		return nil
	}
	p := parcels.Get().(*parcel)
	p.ctx, p.cmds, p.size = ctx, cmds, commits
	c.waiting = append(c.waiting, p)
	c.mu.Unlock()
	return c.wait(p)
}

// wait returns when the scripts were run, by this caller or by another.
func (c *courier) wait(p *parcel) error {
	var lead bool
	select {
	case lead = <-p.turn:
	case <-p.ctx.Done():
		if c.withdraw(p) {
			return errNotSent
		}
		lead = <-p.turn // others may be waiting for it
	}
	if lead {
		c.travel(p)
	}
	p.ctx, p.cmds, p.trip = nil, nil, nil
	parcels.Put(p)
	return nil
}

// travel makes the trip that p leads.
func (c *courier) travel(p *parcel) {
	var cmds []*redis.Cmd
	var latest time.Time
	for _, q := range p.trip {
		cmds = append(cmds, q.cmds...)
		if end, ok := q.ctx.Deadline(); ok && end.After(latest) {
			latest = end
		}
	}
	ctx := context.WithoutCancel(p.ctx) // nobody may end it for the others
	if !latest.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, latest)
		defer cancel()
	}
	c.send(ctx, cmds)
	c.next()
	for _, q := range p.trip[1:] {
		q.turn <- false
	}
}

// next lets those who wait make the next trip.
func (c *courier) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, commits := 0, 0
	for n < len(c.waiting) && (n == 0 || commits+c.waiting[n].size <= tripCommits) {
		commits += c.waiting[n].size
		n++
	}
	if n == 0 {
		c.away--
		return
	}
	lead := c.waiting[0]
	lead.trip = slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	lead.turn <- true
}

// withdraw takes back what was not sent; false if it is too late.
func (c *courier) withdraw(p *parcel) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waiting, p)
	if i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	return i >= 0
}

// send runs scripts in one round trip. Each has its own error.
func (c *courier) send(ctx context.Context, cmds []*redis.Cmd) {
	if len(cmds) == 1 {
		_ = c.rdb.Process(ctx, cmds[0])
		return
	}
	pipe := c.rdb.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd) // only takes it
	}
	_, _ = pipe.Exec(ctx)
}
