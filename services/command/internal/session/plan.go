package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

// intent is something that a caller wants done to a session.
type intent interface {
	// prepare reads what decide needs from the log, and says how far the state must
	// have come to go with it.
	prepare(ctx context.Context, l *live) (goal, error)

	// decide says what is to be committed on st. It reads nothing but st and what
	// prepare found, and may be asked again with another state.
	decide(st *state, call *Call) (plan, error)
}

// errMoved says that what prepare read belongs to another state; both are repeated.
var errMoved = errors.New("the session moved on")

// plan is what is to be committed on one state.
type plan struct {
	idle bool // nothing is to be committed: the result is the answer

	change graph.Change // of nodes …
	next   *state       // … or the state that replaces all of it
	staged *eventlog.Staged

	project       *identity    // becomes the session's
	before, after []wire.Event // around the events of the change
	incomplete    bool         // replicas must fetch the graph
	command       uuid.UUID    // as events name it
	stack         eventlog.StackOp
	entry         eventlog.Entry
	meta          eventlog.HeadChange
	saved         bool   // what is committed is what is stored
	result        Result // what is known before the commit
}

// unprepared is for intents that need nothing from the log.
type unprepared struct{}

func (unprepared) prepare(context.Context, *live) (goal, error) { return goal{}, nil }

// edit is a command or a batch of them.
type edit struct {
	unprepared
	kind    string // command_type as events name it
	label   string
	command graph.Command
	batch   *graph.Batch // of command, if it is one
	size    int64        // of the command as it was written
	invalid error        // why the command could not be read; it is told after what is wrong with the session
}

// ruleError is a refusal by the graph's rules, which is announced to the session.
type ruleError struct{ error }

func (e ruleError) Unwrap() error { return e.error }

func (e *edit) decide(st *state, call *Call) (plan, error) {
	if st.project == uuid.Nil {
		return plan{}, ErrInvalidState
	}
	if e.invalid != nil {
		return plan{}, e.invalid
	}
	ch, err := e.command.Decide(st.graph, st.schema())
	if err != nil {
		return plan{}, ruleError{err}
	}
	p := plan{change: ch, command: call.CommandID, stack: eventlog.StackPush}
	p.entry = eventlog.Entry{
		Version: st.pos.Version + 1, Command: call.CommandID, Type: e.kind, Actor: call.Actor, Label: e.label,
		Payload: graph.AppendChange(make([]byte, 0, 256), ch.Inverse()),
	}
	p.result = Result{Type: e.kind, UndoAvailable: true}
	if e.batch != nil {
		p.result.Nodes = e.batch.Created()
	} else {
		p.result.Node = ch.Created()
	}
	p.before, p.after = executing(), executed(p.result.Node)
	return p, nil
}

// stackMove is an undo or a redo.
type stackMove struct {
	op      eventlog.StackOp // StackUndo or StackRedo
	request UndoRequest

	head eventlog.Head // prepared
	top  *eventlog.Entry
}

func (m *stackMove) prepare(ctx context.Context, l *live) (goal, error) {
	k := look{had: l.position(), began: l.clock.Add(1)}
	var err error
	if k.head, err = l.svc.deps.Log.Head(ctx, l.id); err != nil {
		return goal{}, l.failure(err)
	}
	m.head, m.top = k.head, nil
	depth, read := k.head.UndoDepth, l.svc.deps.Log.UndoTop
	if m.op == eventlog.StackRedo {
		depth, read = k.head.RedoDepth, l.svc.deps.Log.RedoTop
	}
	if depth == 0 {
		return toward(&k), nil
	}
	top, ok, err := read(ctx, l.id)
	switch {
	case err != nil:
		return goal{}, l.failure(err)
	case !ok:
		return goal{}, errMoved
	}
	m.top = &top
	return toward(&k), nil
}

func (m *stackMove) decide(st *state, call *Call) (plan, error) {
	if st.project == uuid.Nil {
		return plan{}, ErrInvalidState
	}
	if st.pos != m.head.Position {
		return plan{}, errMoved
	}
	if want := m.request.ExpectTop; want != nil && (m.top == nil || m.top.Version != *want) {
		e := &TopError{Expected: *want, Current: st.pos}
		if m.top != nil {
			e.Top = m.top.Version
		}
		return plan{}, e
	}
	kind, undos, redos := "Undo", m.head.UndoDepth, m.head.RedoDepth
	if m.op == eventlog.StackRedo {
		kind = "Redo"
	}
	if m.top == nil {
		return plan{idle: true, result: Result{
			Type: kind, Position: st.pos, UndoAvailable: undos > 0, RedoAvailable: redos > 0, Dirty: dirty(m.head),
		}}, nil
	}
	ch, err := graph.ParseChange(st.graph, m.top.Payload)
	if err != nil {
		return plan{}, fmt.Errorf("%w: %s of version %d: %w", errMoved, kind, m.top.Version, err)
	}
	return m.plan(ch, kind), nil
}

func (m *stackMove) plan(ch graph.Change, kind string) plan {
	p := plan{change: ch, command: m.top.Command, stack: m.op, entry: *m.top}
	p.entry.Payload = graph.AppendChange(nil, ch.Inverse())
	undos, redos := m.head.UndoDepth-1, m.head.RedoDepth+1
	event, field := wire.CommandUndo, "undone_version"
	if m.op == eventlog.StackRedo {
		undos, redos = m.head.UndoDepth+1, m.head.RedoDepth-1
		event, field = wire.CommandRedo, "redone_version"
	}
	p.after = []wire.Event{{Name: event, Fields: wire.AppendNumber(nil, field, m.top.Version)}}
	p.result = Result{
		Type: kind, UndoAvailable: undos > 0, RedoAvailable: redos > 0,
		Undone: &Undone{Command: m.top.Command, Type: m.top.Type, Version: m.top.Version, Actor: m.top.Actor},
	}
	return p
}

// dirty reports whether a session differs from what was saved of it.
func dirty(h eventlog.Head) bool { return h.Position.Version != h.SavedVersion }
