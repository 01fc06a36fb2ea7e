package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// came is what became of the clients in a history.
type came struct {
	clients map[string][]string // by session: those who were never sent away for good
	ended   []string            // connections that ended while something was broken, although nobody wanted that
	heals   []*mended

	heads  map[string]uint64 // by session: the newest version that was acknowledged
	at     map[string]uint64 // by client: the version that it has
	broken bool
}

// mended is a heal, and who had to become current after it.
type mended struct {
	at, last int64
	waiting  map[string]uint64 // by client: the version that it has not reached
}

// follow reads a history.
func follow(h history.Source) (came, error) {
	c := came{clients: map[string][]string{}, heads: map[string]uint64{}, at: map[string]uint64{}}
	for _, e := range h.Lines() {
		if e.Err != nil {
			return c, e.Err
		}
		c.take(e.Line)
	}
	return c, nil
}

// current are the times from each heal until the last client had all that was acknowledged before; negative: never.
func (c *came) current() []time.Duration {
	var took []time.Duration
	for _, m := range c.heals {
		if len(m.waiting) > 0 {
			took = append(took, -time.Second)
			continue
		}
		took = append(took, time.Duration(m.last-m.at))
	}
	return took
}

func (c *came) take(l *history.Line) {
	switch l.F {
	case history.Mark:
		c.mark(l)
	case history.Sub:
		if !slices.Contains(c.clients[l.Session], l.Client) {
			c.clients[l.Session] = append(c.clients[l.Session], l.Client)
		}
		if !l.Resumed { // what a resumed client has it has heard before
			c.arrive(l)
		}
	case history.Recv, history.Resync:
		c.arrive(l)
	case history.Disc:
		c.disconnected(l)
	default:
		if p, err := wire.ParsePosition(l.Position); err == nil && l.Kind == history.OK {
			c.heads[l.Session] = max(c.heads[l.Session], p.Version)
		}
	}
}

func (c *came) mark(l *history.Line) {
	switch l.Mark {
	case history.FaultBegin:
		c.broken = true
	case history.Loss:
		clear(c.heads)
	case history.Heal:
		c.broken = false
		m := &mended{at: l.T, last: l.T, waiting: map[string]uint64{}}
		for client, version := range c.at {
			_, session, _ := strings.Cut(client, " ")
			if head := c.heads[session]; version < head {
				m.waiting[client] = head
			}
		}
		c.heals = append(c.heals, m)
	}
}

// arrive notes that a client has a version.
func (c *came) arrive(l *history.Line) {
	p, err := wire.ParsePosition(l.Position)
	if err != nil {
		return
	}
	client := l.Client + " " + l.Session
	c.at[client] = p.Version
	for _, m := range c.heals {
		if want, ok := m.waiting[client]; ok && p.Version >= want {
			m.done(client, l.T)
		}
	}
}

func (m *mended) done(client string, t int64) {
	if _, ok := m.waiting[client]; ok {
		delete(m.waiting, client)
		m.last = max(m.last, t)
	}
}

func (c *came) disconnected(l *history.Line) {
	if l.Reason != history.SentAway {
		if c.broken && !wanted(l) {
			c.ended = append(c.ended, fmt.Sprintf("%s: %d %s", l.Conn, l.Status, l.Text))
		}
		return
	}
	c.clients[l.Session] = slices.DeleteFunc(c.clients[l.Session], func(name string) bool { return name == l.Client })
	delete(c.at, l.Client+" "+l.Session)
	for _, m := range c.heals {
		m.done(l.Client+" "+l.Session, l.T)
	}
}

// wanted reports whether a connection ended because its client wanted that, as one does that joins while Redis is away and is
// refused for now.
func wanted(l *history.Line) bool {
	const own = 1000 // normal closure, which only clients ask for
	return l.Status == own || l.Text == "left" || l.Text == "refused: "+string(wire.Unavailable) || strings.Contains(l.Text, "use of closed network connection") ||
		strings.Contains(l.Text, "context canceled")
}
