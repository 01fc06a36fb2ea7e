package check

import (
	"cmp"
	"slices"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// known is the newest version of a session that somebody had seen by a time.
type known struct {
	t       int64
	index   int // in the log
	line    int
	highest int // index of the newest of all up to here
	by      int // its line
}

// timeline sorts what was seen of a session by time, so that the newest version seen before a moment is found at once.
func (s *session) timeline() []known {
	var line []known
	for i, w := range s.seen {
		if w.line != 0 {
			line = append(line, known{t: w.t, index: i, line: w.line})
		}
	}
	slices.SortFunc(line, func(a, b known) int { return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.index, b.index)) })
	for i := range line {
		line[i].highest, line[i].by = line[i].index, line[i].line
		if i > 0 && line[i-1].highest > line[i].index {
			line[i].highest, line[i].by = line[i-1].highest, line[i-1].by
		}
	}
	return line
}

// before is the newest version seen before t.
func before(line []known, t int64) (known, bool) {
	i, _ := slices.BinarySearchFunc(line, t, func(k known, t int64) int { return cmp.Compare(k.t, t) })
	if i == 0 {
		return known{}, false
	}
	return line[i-1], true
}

// checkOrder checks real time (C4) and If-Match (C5).
func (r *run) checkOrder() {
	for _, s := range r.sessions {
		for _, q := range s.reads {
			if i, ok := s.index(q.pos.Version); ok && s.log[i].pos == q.pos {
				s.show(i, q.line, q.end)
			}
		}
		s.times = s.timeline()
	}
	for _, o := range r.ops {
		s := r.sessions[o.session]
		if s == nil {
			continue
		}
		if len(o.entries) == 1 {
			r.realTime(s, o)
		}
		for _, a := range o.attempts {
			if a.ifMatch != "" {
				r.compareAndSet(s, o, a)
			}
		}
	}
}

// realTime wants an operation behind all that was seen before it began. Its entry may stand there without an answer.
func (r *run) realTime(s *session, o *op) {
	r.looked(RealTime)
	i := o.entries[0]
	if k, ok := before(s.times, o.begin()); ok && k.highest >= i && k.by != 0 {
		r.violates(RealTime, append(o.lines(s, o.attempts...), k.by, s.log[k.highest].line),
			"session %s: version %d was asked for after version %d had been seen", s.id, s.log[i].pos.Version, s.log[k.highest].pos.Version)
	}
}

// compareAndSet judges one answer to a request with If-Match.
func (r *run) compareAndSet(s *session, o *op, a *request) {
	want, err := wire.ParsePosition(a.ifMatch)
	if err != nil || s.lostBefore(a.end) {
		return
	}
	switch {
	case a.kind == history.OK && !a.idle && len(o.entries) == 1:
		r.looked(CAS)
		e := &s.log[o.entries[0]]
		if e.pos.Version != want.Version+1 || e.prev != want.Digest || e.pos.Epoch != want.Epoch {
			r.violates(CAS, o.lines(s, a), "session %s: a request for %v was committed as version %d after %v", s.id, want, e.pos.Version, e.prev)
		}
	case a.code == "VERSION_CONFLICT":
		r.looked(CAS)
		i, ok := s.index(want.Version + 1)
		switch {
		case !s.has(want): // another branch
		case !ok && want.Version >= s.head().Version:
			r.violates(CAS, o.lines(s, a), "session %s: a request for %v was refused, and that is where the log ends", s.id, want)
		case ok && s.log[i].begun >= a.end:
			r.violates(CAS, append(o.lines(s, a), s.log[i].line), "session %s: a request for %v was refused before the next commit was asked for", s.id, want)
		}
	}
}

// checkReads wants every answer to be as new as what had been seen when it was asked for (C12), and the same graph as
// the log has at that version (C9).
func (r *run) checkReads() {
	for _, s := range r.sessions {
		for _, q := range s.reads {
			r.read(s, q)
		}
	}
	for _, o := range r.ops {
		s := r.sessions[o.session]
		for _, a := range o.attempts {
			if s != nil && a.kind == history.Fail && a.code == "NODE_NOT_FOUND" && a.target != "" {
				r.denied(s, a)
			}
		}
	}
}

func (r *run) read(s *session, q *request) {
	if s.lostBefore(q.end) || s.missing != "" {
		return
	}
	r.looked(Reads)
	if !s.has(q.pos) {
		r.violates(Reads, at(q.line), "session %s: an answer shows the state %s, which is not in the log", s.id, q.text)
		return
	}
	if k, ok := before(s.times, q.begin); ok && q.pos.Version < s.log[k.highest].pos.Version && !s.lostBefore(k.t) {
		r.violates(Reads, at(q.line, k.by), "session %s: an answer shows version %d, and version %d had been seen before it was asked for", s.id,
			q.pos.Version, s.log[k.highest].pos.Version)
	}
	if i, ok := s.index(q.pos.Version); ok && q.hash != "" && s.log[i].hash != "" {
		r.looked(Convergence)
		if s.log[i].hash != q.hash {
			r.violates(Convergence, at(q.line, s.log[i].line), "session %s: the graph that was answered at version %d is %s, the log gives %s", s.id,
				q.pos.Version, q.hash, s.log[i].hash)
		}
	}
}

// denied judges an answer that a node is not there: it must have been away at a version between what had been seen when
// the request was sent and what could have been committed when it was answered.
func (r *run) denied(s *session, a *request) {
	k, ok := before(s.times, a.begin)
	if !ok || s.lostBefore(a.end) || s.log[len(s.log)-1].hash == "" {
		return
	}
	r.looked(Reads)
	version := s.log[k.highest].pos.Version
	for _, there := range s.nodes[a.target] {
		if there.from > version || there.to != 0 && there.to <= version {
			continue
		}
		if i, ok := s.index(there.to); there.to == 0 || ok && s.log[i].begun >= a.end {
			r.violates(Reads, at(a.line, k.by), "session %s: a node was not found that is there from version %d on; version %d had been seen before", s.id, there.from, version)
		}
	}
}
