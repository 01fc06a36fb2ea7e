package check

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/talus-tally/talus/tests/chaos/history"
)

// checkOps compares what was answered with what is in the log (C2, C3).
func (r *run) checkOps() {
	lost := 0
	for _, o := range r.ops {
		slices.SortStableFunc(o.attempts, func(a, b *request) int { return cmp.Compare(a.begin, b.begin) })
		s := r.sessions[o.session]
		if !r.acked(s, o) {
			lost++
			continue // what a loss took cannot be known to a repeat either
		}
		if len(o.entries) > 0 { // an answer that was on its way when its commit was lost says nothing of the one that is there
			kept := s.log[o.entries[0]].pos
			o.attempts = slices.DeleteFunc(o.attempts, func(a *request) bool {
				return a.kind == history.OK && !a.idle && a.pos != kept && s.lostBefore(a.begin)
			})
		}
		r.repeats(s, o)
	}
	if lost > 0 {
		r.note(Acks, "%d acknowledged commands were lost together with Redis' data", lost)
	}
	r.unasked()
}

// acked checks that an operation is in the log exactly as its answers say (C2). It reports false if it is not there, and
// a loss of data excuses that.
func (r *run) acked(s *session, o *op) bool {
	unknown := slices.ContainsFunc(o.attempts, func(a *request) bool { return a.kind == history.Info })
	done := o.committed()
	switch {
	case len(o.entries) > 1:
		r.violates(Acks, o.lines(s, o.attempts...), "session %s: one request is in the log %d times, as versions %d and %d", s.id, len(o.entries),
			s.log[o.entries[0]].pos.Version, s.log[o.entries[1]].pos.Version)
	case done == nil && !unknown:
		r.looked(Acks)
		if len(o.entries) == 1 {
			r.violates(Acks, o.lines(s, o.attempts...), "session %s: a request that was refused, or found nothing to do, is in the log as version %d",
				s.id, s.log[o.entries[0]].pos.Version)
		}
	case done == nil:
	case len(o.entries) == 0:
		r.looked(Acks)
		return r.absent(s, o, done)
	default:
		r.looked(Acks)
		r.placed(s, o)
	}
	return true
}

// absent judges an acknowledged operation that is not in the log.
func (r *run) absent(s *session, o *op, done *request) bool {
	switch {
	case s.lostBefore(done.begin):
		return false
	case s.missing == "" && len(s.log) > 0 && done.pos.Version < s.log[0].pos.Version:
		return true // trimmed
	case s.missing != "":
		return true // C1 says so
	}
	r.violates(Acks, o.lines(s, done), "session %s: the %s that was acknowledged at %s is not in the log, which ends at %v", s.id, done.f, done.text, s.head())
	return true
}

// placed wants every answer to name the entry that is in the log.
func (r *run) placed(s *session, o *op) {
	e := &s.log[o.entries[0]]
	for _, a := range o.attempts {
		if a.kind != history.OK || a.idle {
			continue
		}
		if a.pos != e.pos && !s.lostBefore(a.begin) {
			r.violates(Acks, o.lines(s, a), "session %s: the answer says %s, the log has the commit at %v", s.id, a.text, e.pos)
		}
		stack := a.f == history.Undo || a.f == history.Redo
		if !stack && a.command != "" && a.command != e.command {
			r.violates(Acks, o.lines(s, a), "session %s: the answer says command %s, the log has command %s at version %d", s.id, a.command, e.command, e.pos.Version)
		}
		if a.pos == e.pos { // else it is of a commit that was lost, and a repeat was carried out again
			s.show(o.entries[0], a.line, a.end)
		}
	}
}

// lines are the lines that show what became of an operation.
func (o *op) lines(s *session, attempts ...*request) []int {
	var lines []int
	for _, a := range attempts {
		lines = append(lines, a.line)
	}
	for _, i := range o.entries {
		lines = append(lines, s.log[i].line)
	}
	return lines
}

// unasked finds commits in the name of a session's people that nobody asked for.
func (r *run) unasked() {
	for _, s := range r.sessions {
		for i := range s.log {
			e := &s.log[i]
			if o := r.ops[e.actor]; s.canary != "" && strings.HasPrefix(e.actor, s.canary) && (o == nil || o.session != s.id) {
				r.violates(Acks, at(e.line), "session %s: version %d was committed for %s, and nobody asked for it", s.id, e.pos.Version, e.actor)
			}
		}
	}
}

// twins is how close two attempts may follow each other and both be answered as the first: made in one millisecond on one
// state by two instances, their records are the same to the byte, and neither can know whose is in the log.
const twins = 50 * time.Millisecond

// repeats checks that the attempts of one operation were treated as one (C3).
func (r *run) repeats(s *session, o *op) {
	if len(o.attempts) < 2 || !o.attempts[0].keyed {
		return
	}
	if len(o.entries) > 1 {
		r.violates(Idempotency, o.lines(s, o.attempts...), "session %s: key %s is in the log %d times", s.id, o.attempts[0].key, len(o.entries))
	}
	first := o.committed()
	shown := never // since when the result was known
	if first != nil {
		shown = first.end
	}
	if len(o.entries) == 1 && s.seen[o.entries[0]].line != 0 {
		shown = min(shown, s.seen[o.entries[0]].t)
	}
	for _, a := range o.attempts {
		r.looked(Idempotency)
		if a.kind == history.OK && !a.idle && !a.replayed && first != nil && first.end+int64(twins) < a.begin {
			r.violates(Idempotency, o.lines(s, first, a), "session %s: key %s was carried out twice: the repeat's answer is no replay", s.id, a.key)
		}
		if first != nil && a != first {
			r.repeat(s, o, first, a)
		}
		r.refusedRepeat(s, o, a, shown)
	}
}

// repeat compares an attempt with the first that was carried out.
func (r *run) repeat(s *session, o *op, first, a *request) {
	switch {
	case a.kind != history.OK:
	case a.body != first.body:
		r.violates(Idempotency, o.lines(s, first, a), "session %s: key %s was accepted with two bodies", s.id, a.key)
	case !a.idle && a.reply != first.reply:
		r.violates(Idempotency, o.lines(s, first, a), "session %s: the repeats of key %s were answered differently", s.id, a.key)
	}
}

// refusedRepeat judges the refusal of an attempt under a key whose result was known since a time.
func (r *run) refusedRepeat(s *session, o *op, a *request, shown int64) {
	if a.kind != history.Fail || a.code == "RATE_LIMITED" || s.lostBefore(a.begin) {
		return
	}
	others := slices.ContainsFunc(o.attempts, func(b *request) bool { return b.body != a.body })
	same := len(o.entries) == 0 || slices.ContainsFunc(o.attempts, func(b *request) bool { return b.kind == history.OK && b.body == a.body })
	switch {
	case a.code == "IDEMPOTENCY_CONFLICT":
		if !others {
			r.violates(Idempotency, o.lines(s, a), "session %s: key %s was refused as used with another body, and it never was", s.id, a.key)
		}
	case shown >= a.begin:
	case others && !same:
		r.violates(Idempotency, o.lines(s, a), "session %s: key %s with another body was refused with %s, not as a reuse of the key", s.id, a.key, a.code)
	default:
		r.violates(Idempotency, o.lines(s, a), "session %s: a repeat of key %s was refused with %s after its result was known", s.id, a.key, a.code)
	}
}
