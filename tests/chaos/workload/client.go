package workload

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/replica"
)

// client watches one session, over one connection after the other, and keeps a replica.
type client struct {
	w       *workload
	session *session
	name    string

	mu       sync.Mutex
	position wire.Position // that it holds
	graph    *replica.Replica
	skip     wire.Position // of the graph that was read, when it is newer than the stream
	waiting  []frame       // commits that came while the graph was being read
	reading  int           // the number of the read that counts; older ones are dropped
	asked    wire.Position // from which it asked to go on
	joined   bool
	leaving  bool
	gone     bool // sent away for good
	count    int  // of clients, as it was told last
	told     bool // by an announcement
}

// errRule says that a commit broke the client rule: the client comes back with the position it holds.
var errRule = errors.New("the commit does not follow")

// ready reports whether the client follows its session, or never will again.
func (c *client) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone || c.joined && c.graph != nil
}

// current reports whether the client has a replica of a version, or a later one.
func (c *client) current(version uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone || c.joined && c.graph != nil && c.position.Version >= max(version, c.skip.Version)
}

// join takes the answer to a join. It reports whether the graph must be read.
func (c *client) join(f frame, after wire.Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = true
	c.count, c.told = f.ClientCount, false
	if f.Resumed {
		return c.graph == nil
	}
	c.position, c.graph = f.at, nil
	return after.IsZero() // otherwise a resync says what to do
}

// resync begins again at a position.
func (c *client) resync(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.position, c.graph = f.at, nil
}

// commit takes the next commit if it follows. It returns the hash of the graph after it, if there is one; errRule,
// replica.ErrFetch, or what is wrong with the events.
func (c *client) commit(f frame) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.at.Epoch != c.position.Epoch || f.at.Version != c.position.Version+1 || f.Prev != c.position.Digest.String() {
		return "", errRule
	}
	c.position = f.at
	switch {
	case c.graph == nil:
		c.waiting = append(c.waiting, f)
		return "", nil
	case f.at.Version < c.skip.Version:
		return "", nil
	case f.at.Version == c.skip.Version:
		if f.at != c.skip {
			c.graph = nil
			return "", errRule
		}
		return c.graph.Hash(), nil
	}
	if err := follow(c.graph, f); err != nil {
		c.graph = nil
		return "", err
	}
	return c.graph.Hash(), nil
}

func follow(graph *replica.Replica, f frame) error {
	for _, e := range f.Events {
		if err := graph.Apply(e.Event, e.Data); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads the graph and goes on from there, until that works, ctx ends or a later fetch begins. It runs in a
// goroutine of its own.
func (c *client) fetch(ctx context.Context, number int, wait time.Duration) {
	for try := 0; pause(ctx, wait); try++ {
		wait = 300 * time.Millisecond
		var graph *replica.Replica
		q := request{session: c.session, client: c.name, node: c.w.Commands[(number+try)%len(c.w.Commands)]}
		a := c.w.readGraph(ctx, &q, func(r *replica.Replica) { graph = r })
		if graph != nil && c.adopt(number, graph, a.position) {
			return
		}
		if a.code == string(wire.InvalidSession) {
			return
		}
	}
}

// begin numbers a new read of the graph; older ones are dropped.
func (c *client) begin() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading++
	c.waiting = nil
	return c.reading
}

// adopt makes the graph of an answer the client's own and applies what came since. It reports false if the graph is too
// old, or of another branch, and must be read again.
func (c *client) adopt(number int, graph *replica.Replica, at wire.Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number != c.reading {
		return true // somebody else reads it
	}
	start := c.position.Version - uint64(len(c.waiting))
	if at.Version < start || at.Epoch != c.position.Epoch {
		return false
	}
	for _, f := range c.waiting {
		if f.at.Version == at.Version && f.at.Digest != at.Digest {
			return false
		}
		if f.at.Version <= at.Version {
			continue
		}
		if follow(graph, f) != nil {
			return false
		}
	}
	c.waiting, c.graph, c.skip = nil, graph, wire.Position{}
	if at.Version > c.position.Version {
		c.skip = at // the commits up to there are on their way
	}
	return true
}

// rest is what the client holds: for the record.
func (c *client) rest() (history.Line, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := history.Line{Kind: history.Note, F: history.Rest, Session: c.session.id, Client: c.name, Position: c.position.String(), Count: c.count}
	if c.graph != nil && c.position.Version >= c.skip.Version {
		l.Hash = c.graph.Hash()
	}
	return l, !c.gone
}
