package check

import (
	"slices"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// client is somebody over all connections.
type client struct {
	name    string
	session *session
	began   int64
	gone    bool // it was sent away for good
	goals   []goal
}

// goal is what a client must have reached soon after a mark.
type goal struct {
	mark    mark
	index   int // in the log: the newest that was acknowledged by then; -1: nothing was
	reached int64
}

func (st *streams) client(l *history.Line) *client {
	c := st.clients[l.Client]
	if c == nil {
		c = &client{name: l.Client, session: st.sessions[l.Session], began: l.T}
		for _, m := range st.marks {
			if (m.name == history.Heal || m.name == history.Quiesce) && m.t > c.began && m.concerns(l.Session) {
				c.goals = append(c.goals, goal{mark: m, index: st.newest(c.session, m.t)})
			}
		}
		st.clients[l.Client] = c
	}
	return c
}

// newest is the place in the log of the newest commit that was acknowledged by t.
func (r *run) newest(s *session, t int64) int {
	if s.acks == nil {
		s.acks = map[int64]int{}
	}
	if i, ok := s.acks[t]; ok {
		return i
	}
	newest := -1
	for _, o := range s.ops {
		if len(o.entries) == 0 {
			continue
		}
		if done := o.committed(); done != nil && done.end <= t {
			newest = max(newest, o.entries[0])
		}
	}
	s.acks[t] = newest
	return newest
}

// reach notes that the client is at a position.
func (c *client) reach(p wire.Position, t int64) {
	i, ok := c.session.index(p.Version)
	if !ok || c.session.log[i].pos != p {
		return
	}
	for g := range c.goals {
		if goal := &c.goals[g]; goal.reached == 0 && i >= goal.index {
			goal.reached = max(t, 1)
		}
	}
}

// current wants every client to be current soon after each heal (C15).
func (st *streams) current() {
	var slowest time.Duration
	for _, c := range st.clients {
		for _, g := range c.goals {
			if c.gone || g.index < 0 || c.session.missing != "" {
				continue
			}
			late := g.reached == 0 && st.last > g.mark.t+int64(st.cfg.Current) || g.reached > g.mark.t+int64(st.cfg.Current)
			st.looked(Liveness)
			slowest = max(slowest, time.Duration(g.reached-g.mark.t))
			if late {
				st.violates(Liveness, at(g.mark.line, c.session.log[g.index].line), "client %s of session %s had not got version %d within %v of the %s", c.name,
					c.session.id, c.session.log[g.index].pos.Version, st.cfg.Current, g.mark.name)
			}
		}
	}
	if slowest > 0 {
		st.note(Liveness, "the slowest client was current %v after a heal", slowest.Round(time.Millisecond))
	}
}

// rest compares what a client holds at the end with the log (C9).
func (st *streams) rest(number int, l *history.Line) {
	s := st.sessions[l.Session]
	pos, err := wire.ParsePosition(l.Position)
	if s == nil || s.missing != "" {
		return
	}
	st.looked(Convergence)
	i, ok := s.index(pos.Version)
	switch {
	case err != nil || !s.has(pos):
		st.violates(Convergence, at(number), "client %s rests at %q, which is not in the log of session %s", l.Client, l.Position, s.id)
	case ok && l.Hash != "" && s.log[i].hash != "" && l.Hash != s.log[i].hash:
		st.violates(Convergence, at(number, s.log[i].line), "client %s rests with graph %s at version %d of session %s, the log gives %s", l.Client, l.Hash,
			pos.Version, s.id, s.log[i].hash)
	}
}

// announcements are what a connection was told about who came and went.
type announcements struct {
	line    int
	seq     uint64
	event   string
	subject string
	here    map[string]bool // by client id: whether the last news was that it came
}

// presence judges announcements, and counts at rest (C13).
func (st *streams) presence(number int, l *history.Line) {
	if l.Kind == history.OK {
		st.looked(Presence)
		if l.Count != l.Live {
			who := "the session's info says"
			if l.Conn != "" {
				who = "connection " + l.Conn + " was told last that there are"
			}
			st.violates(Presence, at(number), "session %s has %d clients at rest, %s %d", l.Session, l.Live, who, l.Count)
		}
		return
	}
	b := st.subs[l.Conn+" "+l.Session]
	if b == nil || b.ended {
		st.violates(Presence, at(number), "connection %s got news of session %s, which it has not joined", l.Conn, l.Session)
		return
	}
	st.looked(Presence)
	if text := b.news.take(l); text != "" {
		st.violates(Presence, at(b.news.line, number), "connection %s: %s", l.Conn, text)
	}
	b.news.line, b.news.seq, b.news.event, b.news.subject = number, max(b.news.seq, l.Seq), l.Event, l.Subject
}

// take says what is wrong with an announcement, if anything. Those that name nobody speak of several.
func (a *announcements) take(l *history.Line) string {
	came := l.Event == "session:connected"
	was, known := a.here[l.Subject]
	if l.Subject == "" {
		clear(a.here)
	} else {
		if a.here == nil {
			a.here = map[string]bool{}
		}
		a.here[l.Subject] = came
	}
	switch {
	case l.Seq != 0 && l.Seq < a.seq:
		return "an announcement that is older than the one before"
	case l.Seq != 0 && l.Seq == a.seq && l.Event == a.event && l.Subject == a.subject:
		return "an announcement came twice"
	case l.Subject != "" && known && was == came:
		return "client " + l.Subject + " was announced twice as " + l.Event
	default:
		return ""
	}
}

// usage is what an instance used at some moment of the run.
type usage struct {
	line    int
	node    string
	when    string // history.Start or history.Stop
	figures map[string]float64
}

// slack is by how much a figure may be above its base whatever its factor: pools fill and heaps breathe.
func slack(figure string) float64 {
	switch figure {
	case "go_goroutines", "process_open_fds":
		return 50
	case "go_memstats_heap_inuse_bytes":
		return 64 << 20
	case "process_resident_memory_bytes":
		return 128 << 20
	default:
		return 0
	}
}

// checkResources wants every instance to use no more at the end than at the beginning (C15).
func (r *run) checkResources() {
	for _, last := range r.usage {
		first := slices.IndexFunc(r.usage, func(u usage) bool { return u.node == last.node && u.when == history.Start })
		if last.when != history.Stop || first < 0 {
			continue
		}
		base := r.usage[first]
		for figure, now := range last.figures {
			was, ok := base.figures[figure]
			if !ok {
				continue
			}
			r.looked(Liveness)
			if now > was*r.cfg.Resources+slack(figure) {
				r.violates(Liveness, at(base.line, last.line), "instance %s has %s %.0f at the end, and had %.0f at the beginning", last.node, figure, now, was)
			}
		}
	}
}
