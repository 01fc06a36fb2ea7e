package session

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

// Deadline is how long a command, an undo or a redo may take, waiting and retries
// included. Of a caller's own deadline and this the earlier one counts.
func (s *Service) Deadline() time.Duration { return s.cfg.Deadline }

// Execute carries out one command of api.md part 3. It returns a *graph.Rejection,
// ErrNoSession, ErrInvalidState, a *MatchError, ErrKeyReused, ErrTooLarge, ErrBusy,
// ErrTorn or ErrUnavailable; after the last the command may have taken effect.
func (s *Service) Execute(ctx context.Context, commandType string, data json.RawMessage, call Call) (Result, error) {
	return s.edit(ctx, call, func(seed uuid.UUID) *edit {
		command, err := graph.ParseCommand(commandType, data, seed)
		return &edit{kind: commandType, command: command, size: int64(len(data)), invalid: err}
	})
}

// Batch carries out all commands or none, in one commit. Errors are those of
// [Service.Execute].
func (s *Service) Batch(ctx context.Context, items []Item, label string, call Call) (Result, error) {
	list, size := make([]graph.Item, len(items)), 0
	for i, item := range items {
		list[i] = graph.Item{Type: item.Type, Data: item.Data}
		size += len(item.Data)
	}
	return s.edit(ctx, call, func(seed uuid.UUID) *edit {
		batch, err := graph.ParseBatch(list, seed)
		return &edit{kind: "Batch", label: label, command: batch, batch: &batch, size: int64(size), invalid: err}
	})
}

// edit performs what parse makes with a command id, which is also the seed of ids.
func (s *Service) edit(ctx context.Context, call Call, parse func(seed uuid.UUID) *edit) (r Result, err error) {
	s.identify(&call)
	e := parse(call.CommandID)
	err = s.within(ctx, func(l *live) error {
		r, err = l.perform(ctx, s.cfg.Deadline, e, call)
		var broken ruleError
		if errors.As(err, &broken) {
			s.metrics.refusals.Inc()
			l.announceFailure(ctx, e, &call, broken.error)
			err = broken.error
		}
		return err
	})
	if err == nil && r.Replayed && e.batch != nil {
		r.Nodes = parse(r.Command).batch.Created() // the ids follow from the first request's command id
	}
	return r, err
}

// identify gives the call a command id if it has none.
func (s *Service) identify(call *Call) {
	if call.CommandID == uuid.Nil {
		call.CommandID = s.deps.NewID()
	}
}

// announceFailure tells the session that a command was refused. It is told once,
// without a version, and nobody depends on it.
func (l *live) announceFailure(ctx context.Context, e *edit, call *Call, why error) {
	code := wire.CommandNotAccepted
	var r *graph.Rejection
	if errors.As(why, &r) {
		code = wire.Code(r.Reason)
	}
	fields := wire.AppendMember([]byte(`"success":false,`), "error", why.Error())
	fields = wire.AppendMember(append(fields, ','), "code", string(code))
	l.announce(ctx, wire.CommandFailed, fields, call.CommandID, e.kind, call.Actor)
}

// announceEarly tells the session that a command is at work that takes long. Its
// commit, if there will be one, says so again.
func (l *live) announceEarly(ctx context.Context, e *edit, call *Call) {
	l.announce(ctx, wire.CommandExecuting, []byte(`"early":true`), call.CommandID, e.kind, call.Actor)
}

// announce publishes an event without a version, if events are published.
func (l *live) announce(ctx context.Context, name wire.EventName, fields []byte, command uuid.UUID, kind, actor string) {
	if l.svc.deps.Emitter == nil {
		return
	}
	now := l.svc.deps.Now().UnixMilli()
	err := l.svc.deps.Emitter.Publish(ctx, wire.Ephemeral{
		Session: l.id, Name: name, Time: now, Fields: fields,
		Common: appendCommon(nil, l.id, l.project(), now, command, kind, actor),
	})
	if err != nil {
		l.svc.metrics.lostTells.Inc()
		l.svc.log.Warn("event was not published", "session", l.id, "event", string(name), "err", err)
	}
}

// project is the session's project as far as it is known here.
func (l *live) project() uuid.UUID {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil {
		return uuid.Nil
	}
	return l.state.project
}

// Undo takes the newest command back that was not taken back yet. Result.Undone is
// nil if there is none. Errors are those of [Service.Execute], a *TopError and
// ErrScope.
func (s *Service) Undo(ctx context.Context, req UndoRequest, call Call) (Result, error) {
	return s.moveStack(ctx, eventlog.StackUndo, req, call)
}

// Redo carries the command out again that was taken back last. Results and errors
// are those of [Service.Undo].
func (s *Service) Redo(ctx context.Context, req UndoRequest, call Call) (Result, error) {
	return s.moveStack(ctx, eventlog.StackRedo, req, call)
}

func (s *Service) moveStack(ctx context.Context, op eventlog.StackOp, req UndoRequest, call Call) (r Result, err error) {
	if req.Scope != "" && req.Scope != ScopeSession {
		return Result{}, ErrScope
	}
	s.identify(&call)
	err = s.within(ctx, func(l *live) error {
		r, err = l.perform(ctx, s.cfg.Deadline, &stackMove{op: op, request: req}, call)
		return err
	})
	return r, err
}
