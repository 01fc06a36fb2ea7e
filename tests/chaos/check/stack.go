package check

import (
	"encoding/json"
	"slices"

	"github.com/talus-tally/talus/tests/chaos/history"
)

// model is both stacks of a session as reliability.md has them: commands push and empty redo, undo and redo move the
// top, loading a graph empties both.
type model struct {
	depth      int
	undo, redo []step
	truncated  bool   // entries may lie below the bottom that the model does not know
	hash       string // of the graph before the commit; empty: not known
}

// step is one entry of a stack.
type step struct {
	version       uint64
	command       string
	kind          string
	actor         string
	line          int
	before, after string // hashes of the graph around the command, as it was carried out last
}

// stackView is what answers may show of the stacks after a version.
type stackView struct {
	undos, redos       int
	undoable, redoable uint64         // versions of the tops; 0: none
	undo, redo         []history.Step // the next ones, newest first, at most twenty; only where somebody asked
	known              bool
}

func newModel(depth int, known bool) *model {
	m := &model{depth: depth, truncated: !known}
	if known {
		m.hash = "0000000000000000"
	}
	return m
}

// commit replays one commit of the log and compares what it did with what it should have done (C11).
func (m *model) commit(r *run, s *session, e *entry, f *frame) {
	entry := step{version: e.pos.Version, command: f.CommandID, kind: f.CommandType, actor: f.Actor, line: e.line, before: m.hash, after: e.hash}
	switch f.CommandType {
	case "LoadGraph":
		m.undo, m.redo, m.truncated = nil, nil, false
	case "CreateProject":
	case "Undo":
		top := m.pop(r, s, e, f, &m.undo)
		m.compare(r, s, e, top, top.before)
		m.redo = append(m.redo, top)
	case "Redo":
		top := m.pop(r, s, e, f, &m.redo)
		m.compare(r, s, e, top, top.after)
		m.undo = append(m.undo, top)
	default:
		m.undo, m.redo = append(m.undo, entry), nil
	}
	if over := len(m.undo) - m.depth; over > 0 {
		m.undo = m.undo[over:]
	}
	m.hash = e.hash
	e.stacks = m.view(s.asked[e.pos.Version])
}

// pop takes the entry that an undo or redo says it acted on.
func (m *model) pop(r *run, s *session, e *entry, f *frame, stack *[]step) step {
	r.looked(UndoModel)
	version := target(f)
	if len(*stack) == 0 {
		if !m.truncated {
			r.violates(UndoModel, at(e.line), "session %s: version %d is an %s of version %d, but there was nothing to act on", s.id, e.pos.Version, f.CommandType, version)
		}
		return step{version: version, command: f.CommandID, line: e.line}
	}
	top := (*stack)[len(*stack)-1]
	*stack = (*stack)[:len(*stack)-1]
	if top.version != version || top.command != f.CommandID {
		r.violates(UndoModel, at(top.line, e.line), "session %s: version %d is an %s of version %d (command %s), the top was version %d (command %s)",
			s.id, e.pos.Version, f.CommandType, version, f.CommandID, top.version, top.command)
	}
	return top
}

// compare wants the graph that an undo or redo left to be the one that was there (L1 and L2 of the laws).
func (m *model) compare(r *run, s *session, e *entry, top step, want string) {
	if want != "" && e.hash != "" && want != e.hash {
		r.violates(UndoModel, at(top.line, e.line), "session %s: the %s at version %d of version %d left graph %s, and it was %s", s.id,
			e.kind, e.pos.Version, top.version, e.hash, want)
	}
}

// target is the version that an undo or redo acted on.
func target(f *frame) uint64 {
	var on struct {
		Undone uint64 `json:"undone_version"`
		Redone uint64 `json:"redone_version"`
	}
	for _, event := range f.Events {
		if event.Event == "command:undo" || event.Event == "command:redo" {
			_ = json.Unmarshal(event.Data, &on) // what cannot be read acted on version 0
		}
	}
	return max(on.Undone, on.Redone)
}

const shown = 20 // entries that the state of the commands shows

func (m *model) view(lists bool) stackView {
	v := stackView{undos: len(m.undo), redos: len(m.redo), undoable: top(m.undo), redoable: top(m.redo), known: !m.truncated}
	if lists {
		v.undo, v.redo = next(m.undo), next(m.redo)
	}
	return v
}

func top(stack []step) uint64 {
	if len(stack) == 0 {
		return 0
	}
	return stack[len(stack)-1].version
}

// next are the top entries, newest first.
func next(stack []step) []history.Step {
	n := min(len(stack), shown)
	list := make([]history.Step, n)
	for i := range n {
		top := stack[len(stack)-1-i]
		list[i] = history.Step{Version: top.version, Command: top.command, Type: top.kind, Actor: top.actor}
	}
	return list
}

// checkUndo compares what answers said of the stacks with the model (C11).
func (r *run) checkUndo() {
	for _, o := range r.ops {
		s := r.sessions[o.session]
		for _, a := range o.attempts {
			if s != nil && !s.lostBefore(a.end) {
				r.checkUndoAnswer(s, a)
			}
		}
	}
	for _, s := range r.sessions {
		for _, q := range s.reads {
			if i, ok := s.index(q.pos.Version); ok && q.stacks != nil && s.log[i].pos == q.pos {
				r.checkState(s, q, &s.log[i])
			}
		}
	}
}

func (r *run) checkUndoAnswer(s *session, a *request) {
	i, ok := s.index(a.pos.Version)
	if !ok || s.log[i].pos != a.pos {
		return // C2 and C12 say so
	}
	e := &s.log[i]
	m := e.stacks
	if !m.known {
		return
	}
	stack := a.f == history.Undo || a.f == history.Redo
	topmost := m.undoable
	if a.f == history.Redo {
		topmost = m.redoable
	}
	switch {
	case a.code == "UNDO_TOP_CHANGED":
		r.looked(UndoModel)
		if topmost == a.expectTop && !s.movedBy(i, a) {
			r.violates(UndoModel, at(a.line, e.line), "session %s: an %s that expected version %d on top was refused at version %d, where it is", s.id, a.f, a.expectTop, e.pos.Version)
		}
	case a.kind != history.OK:
	case stack && a.idle:
		r.looked(UndoModel)
		if topmost != 0 {
			r.violates(UndoModel, at(a.line, e.line), "session %s: %s found nothing to act on at version %d, but version %d is on top", s.id, a.f, e.pos.Version, topmost)
		}
	default:
		r.checkAvailable(s, a, e)
	}
}

// movedBy reports whether another top may have been there before the request was answered: an instance that looks at the
// stack a moment later than at the version sees it.
func (s *session) movedBy(i int, a *request) bool {
	return slices.ContainsFunc(s.log[i+1:], func(e entry) bool {
		top := e.stacks.undoable
		if a.f == history.Redo {
			top = e.stacks.redoable
		}
		return e.begun < a.end && top != a.expectTop
	})
}

// checkAvailable compares an acknowledged commit's answer with the stacks after it.
func (r *run) checkAvailable(s *session, a *request, e *entry) {
	m := e.stacks
	if a.undoable != nil && *a.undoable != (m.undos > 0) || a.redoable != nil && *a.redoable != (m.redos > 0) {
		r.violates(UndoModel, at(a.line, e.line), "session %s: the answer of version %d says undo %v, redo %v; there are %d and %d entries", s.id,
			e.pos.Version, *a.undoable, *a.redoable, m.undos, m.redos)
	}
	if a.undone == nil {
		return
	}
	r.looked(UndoModel)
	moved := m.redoable // by an undo
	if a.f == history.Redo {
		moved = m.undoable
	}
	if moved != a.undone.Version || a.expectTop != 0 && a.undone.Version != a.expectTop {
		r.violates(UndoModel, at(a.line, e.line), "session %s: the answer of the %s at version %d says that it acted on version %d; the log says %d, expected was %d",
			s.id, a.f, e.pos.Version, a.undone.Version, moved, a.expectTop)
	}
}

func (r *run) checkState(s *session, q *request, e *entry) {
	m := e.stacks
	if !m.known {
		return
	}
	r.looked(UndoModel)
	same := func(a, b history.Step) bool { return a.Version == b.Version && a.Command == b.Command }
	if q.stacks.Depth != m.undos || !slices.EqualFunc(q.stacks.Undo, m.undo, same) || !slices.EqualFunc(q.stacks.Redo, m.redo, same) {
		r.violates(UndoModel, at(q.line, e.line), "session %s: at version %d the stacks hold %d entries %v, redo %v; the model has %d: %v, redo %v", s.id,
			e.pos.Version, q.stacks.Depth, versions(q.stacks.Undo), versions(q.stacks.Redo), m.undos, versions(m.undo), versions(m.redo))
	}
}

func versions(steps []history.Step) []uint64 {
	list := make([]uint64, len(steps))
	for i, s := range steps {
		list[i] = s.Version
	}
	return list
}
