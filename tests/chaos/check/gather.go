package check

import (
	"cmp"
	"slices"
	"strings"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// session is what the history knows of one session.
type session struct {
	id     string
	canary string
	chain
	ops   []*op
	reads []*request
	seen  []witness     // per entry of the log: who showed first that it is committed
	times []known       // the same in the order of time, once all is seen
	acks  map[int64]int // by mark: the newest that was acknowledged by then
	loss  int64         // time of the last loss of data that concerns it; -1 without
}

// witness is the first line that shows a version, and when; 0 for none.
type witness struct {
	line int
	t    int64
}

// request is one attempt of an operation, or a read.
type request struct {
	line       int // of the answer, or of the request if none came
	begin, end int64
	kind       history.Kind
	f          history.Func

	session, client string
	key, body       string
	keyed           bool
	command         string
	ifMatch         string
	expectTop       uint64
	target          string

	status             int
	code               string
	reply              string
	replayed, idle     bool
	undoable, redoable *bool
	undone             *history.Step
	stacks             *history.Stack
	text               string // of the position
	pos                wire.Position
	hash               string
}

// op is one operation with all its attempts.
type op struct {
	actor    string
	session  string
	attempts []*request
	pending  map[int]*request // by attempt: sent, and no answer recorded
	entries  []int            // indexes in the session's log
}

const never = int64(1) << 62

// committed is the first answer that says that the operation was carried out; nil if there is none.
func (o *op) committed() *request {
	var first *request
	for _, a := range o.attempts {
		if a.kind == history.OK && !a.idle && (first == nil || a.end < first.end) {
			first = a
		}
	}
	return first
}

// begin is when the first attempt was sent.
func (o *op) begin() int64 {
	begin := never
	for _, a := range o.attempts {
		begin = min(begin, a.begin)
	}
	return begin
}

func (r *run) session(id string) *session {
	s := r.sessions[id]
	if s == nil {
		s = &session{id: id, loss: -1}
		r.sessions[id] = s
	}
	return s
}

// gather takes what must be known before the streams can be judged.
func (r *run) gather(number int, l *history.Line) {
	r.lines = number
	r.last = max(r.last, l.T)
	switch l.F {
	case history.Session:
		r.session(l.Session).canary = l.Canary
	case history.Mark:
		r.gatherMark(number, l)
	case history.Usage:
		r.usage = append(r.usage, usage{line: number, node: l.Node, when: l.Mark, figures: l.Figures})
	case history.Log:
		r.session(l.Session).append(r, number, l)
	case history.LogEnd:
		r.session(l.Session).finish(r, number, l)
	case history.Graph, history.Get, history.State:
		if l.Kind == history.OK {
			s := r.session(l.Session)
			s.reads = append(s.reads, r.request(number, l))
		}
	case history.Cmd, history.Batch, history.Load, history.Undo, history.Redo:
		r.gatherOp(number, l)
	}
}

func (r *run) gatherMark(number int, l *history.Line) {
	m := mark{line: number, t: l.T, name: l.Mark, text: l.Text, sessions: l.Sessions}
	at, _ := slices.BinarySearchFunc(r.marks, m, func(a, b mark) int { return cmp.Compare(a.t, b.t) })
	r.marks = slices.Insert(r.marks, at, m)
	if l.Mark == history.Start {
		r.about = l.Text
	}
}

func (r *run) gatherOp(number int, l *history.Line) {
	o := r.ops[l.Actor]
	if o == nil {
		o = &op{actor: l.Actor, session: l.Session, pending: map[int]*request{}}
		r.ops[strings.Clone(l.Actor)] = o
		s := r.session(l.Session)
		s.ops = append(s.ops, o)
	}
	q := r.request(number, l)
	if l.Kind == history.Invoke {
		q.kind, q.begin, q.end = history.Info, l.T, never
		o.pending[l.Attempt] = q
		o.attempts = append(o.attempts, q)
		return
	}
	if sent := o.pending[l.Attempt]; sent != nil {
		delete(o.pending, l.Attempt)
		o.attempts = slices.DeleteFunc(o.attempts, func(a *request) bool { return a == sent })
	}
	o.attempts = append(o.attempts, q)
}

func (r *run) request(number int, l *history.Line) *request {
	q := &request{
		line: number, begin: l.Began, end: l.T, kind: l.Kind, f: l.F, session: l.Session, client: l.Client, key: l.Key, body: l.Body,
		keyed: l.Keyed, command: l.Command, ifMatch: l.IfMatch, expectTop: l.ExpectTop, target: l.Target, status: l.Status,
		code: l.Code, reply: l.Reply, replayed: l.Replayed, idle: l.Idle, undoable: l.UndoAvailable, redoable: l.RedoAvailable,
		undone: l.Undone, stacks: l.Stacks, text: l.Position, hash: l.Hash,
	}
	q.pos, _ = wire.ParsePosition(l.Position) // an answer without a position has the zero one
	return q
}

// losses sets for each session when it lost data last.
func (r *run) losses() {
	for _, m := range r.marks {
		if m.name != history.Loss {
			continue
		}
		for id, s := range r.sessions {
			if m.concerns(id) {
				s.loss = max(s.loss, m.t)
			}
		}
	}
}

// lostBefore reports whether what was known at t may have been lost since.
func (s *session) lostBefore(t int64) bool { return s.loss >= 0 && t <= s.loss }

// show notes that a line shows the version of an entry as committed.
func (s *session) show(i, line int, t int64) {
	if w := &s.seen[i]; w.line == 0 || t < w.t {
		*w = witness{line, t}
	}
}

// unique finds commits that are in the log twice under two versions (C1).
func (r *run) unique(s *session) {
	if len(s.log) > 0 && s.log[0].pos.Version != 1 {
		if !s.trimmed {
			r.violates(Contiguous, at(s.log[0].line), "session %s: the log begins at version %d, and nobody said that it was trimmed", s.id, s.log[0].pos.Version)
		}
		r.note(Contiguous, "session %s: the log was trimmed, checked from version %d", s.id, s.log[0].pos.Version)
	}
	known := map[string]int{}
	for i, e := range s.log {
		r.looked(Contiguous)
		ids := []string{"uid " + e.uid}
		if e.kind != "Undo" && e.kind != "Redo" { // those carry the id of the command that they act on
			ids = append(ids, "command "+e.command)
		}
		for _, id := range ids {
			if id == "uid " || id == "command " {
				continue
			}
			if first, ok := known[id]; ok {
				r.violates(Contiguous, at(s.log[first].line, e.line), "session %s: %s is in the log twice, as versions %d and %d", s.id, id,
					s.log[first].pos.Version, e.pos.Version)
			}
			known[id] = i
		}
	}
}

// attribute finds for each entry of the log the operation that asked for it.
func (r *run) attribute(s *session) {
	for i := range s.log {
		e := &s.log[i]
		o := r.ops[e.actor]
		if o == nil || o.session != s.id {
			continue
		}
		o.entries = append(o.entries, i)
		e.begun = o.begin()
	}
}
