package presence

import (
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// Session is one session as this edge counts it, from Open to Close; it is a hub.Counter.
type Session struct {
	presence *Presence
	count    *count
	tell     func(hub.News)

	here int // clients that entered through this one; under the presence's mu
}

// Enter implements hub.Counter.
func (s *Session) Enter(client uuid.UUID) (ticket uint64, clients int) {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	c := s.count
	s.here++
	c.here++
	c.entered++
	c.since.add(client, 1)
	s.presence.changed(c)
	return c.entered, c.others + c.here
}

// Leave implements hub.Counter.
func (s *Session) Leave(client uuid.UUID) {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	c := s.count
	s.here--
	c.here--
	c.since.add(client, -1)
	s.presence.changed(c)
}

// Heard implements hub.Counter.
func (s *Session) Heard(who wire.Presence) {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	c := s.count
	if who.Seq <= max(c.seq, c.heard.Seq) {
		return
	}
	s.presence.metrics.news.WithLabelValues("channel").Inc()
	if c.flying {
		c.heard = who // it may hold what is being written: the answer will tell
		return
	}
	c.learn(who.Seq, int(who.Count), int(who.Count)-c.written)
}

// Close implements hub.Counter.
func (s *Session) Close() {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	c := s.count
	c.since.others += s.here
	c.here -= s.here
	s.here = 0
	if c.open == s {
		c.open = nil
	}
	s.presence.changed(c)
	s.presence.tidy(c)
}

// count is what this edge has and knows of one session. All of it is under the presence's mu.
type count struct {
	session uuid.UUID
	open    *Session // the newest; nil: closed
	here    int      // clients now
	entered uint64   // tickets given
	since   changes  // since the last write

	written int      // clients in the store, under the current lease
	unsure  bool     // the store may have another number, or none
	dead    []string // edges to be removed with the next write
	flying  bool     // a write is on its way
	due     time.Time
	wrote   time.Time

	seq    uint64 // of the newest announcement
	total  int    // clients by it
	others int    // those of them on other edges
	edges  int    // that have clients, with this one
	heard  wire.Presence
}

// changes are comings and goings.
type changes struct {
	clients map[uuid.UUID]int // 1: came, -1: went; whoever did both is not in it
	others  int               // who went without a name
}

func (c *changes) add(client uuid.UUID, n int) {
	if c.clients == nil {
		c.clients = map[uuid.UUID]int{}
	}
	if c.clients[client] += n; c.clients[client] == 0 {
		delete(c.clients, client)
	}
}

// merge adds what happened before.
func (c *changes) merge(before changes) {
	for client, n := range before.clients {
		c.add(client, n)
	}
	c.others += before.others
}

func (c *changes) any() bool { return len(c.clients)+c.others > 0 }

// one is who came or went if nobody else did and the number of clients has changed by so many; else uuid.Nil.
func (c *changes) one(by int) uuid.UUID {
	for client, n := range c.clients {
		if len(c.clients) == 1 && c.others == 0 && n == by {
			return client
		}
	}
	return uuid.Nil
}

func (c *count) unwritten() bool { return c.here != c.written || c.unsure }

// interval is how long a session is not written again; see the package's comment.
func (c *count) interval() time.Duration {
	frames := (c.others + c.here) * c.edges
	return min(maxInterval, max(coalesce, time.Duration(frames)*perFrame))
}

// learn takes over what an announcement, or the store, says and returns what has happened since the last one.
func (c *count) learn(seq uint64, total, others int) wire.EventName {
	if seq <= c.seq {
		return ""
	}
	event := wire.SessionConnected
	if total < c.total {
		event = wire.SessionDisconnected
	}
	c.seq, c.total, c.others = seq, total, max(0, others)
	return event
}

// read takes over what the store said in the same step in which it said p.
func (c *count) read(p eventlog.Present, me string) wire.EventName {
	event := c.learn(p.Seq, p.Clients, p.Clients-p.Edges[me])
	c.edges = max(1, len(p.Edges))
	if p.Event != "" && event != "" {
		event = p.Event
	}
	if c.heard.Seq > c.seq {
		c.learn(c.heard.Seq, int(c.heard.Count), int(c.heard.Count)-c.written)
	}
	return event
}
