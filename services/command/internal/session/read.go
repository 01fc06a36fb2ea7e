package session

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
)

// View calls fn with the session as it was at one moment after the call began. The
// session's commands wait for fn, which must not block. It returns what fn returns,
// ErrNoSession, ErrNoProject, ErrBusy, ErrTorn or ErrUnavailable.
func (s *Service) View(ctx context.Context, fn func(View) error) error {
	return s.within(ctx, func(l *live) error {
		return l.read(ctx, func(st *state, head eventlog.Head) error {
			if st.project == uuid.Nil {
				return ErrNoProject
			}
			info := describe(l.id, head)
			info.Position, info.Nodes = st.pos, st.graph.Len()
			info.Dirty = st.pos.Version != head.SavedVersion
			return fn(View{Info: info, Graph: st.graph, Template: st.template, Position: st.pos})
		})
	})
}

// GraphJSON is the session's graph as JSON, rendered once for each version. Errors
// are those of [Service.View].
func (s *Service) GraphJSON(ctx context.Context) (body *Body, err error) {
	err = s.within(ctx, func(l *live) error {
		return l.read(ctx, func(st *state, _ eventlog.Head) error {
			if st.project == uuid.Nil {
				return ErrNoProject
			}
			body = l.shown.body(st)
			return nil
		})
	})
	return body, err
}

// State lists up to n commands that undo and redo would act on next, as they are at
// the position that it names. It returns ErrNoSession or ErrUnavailable.
func (s *Service) State(ctx context.Context, n int) (stacks Stacks, err error) {
	err = s.within(ctx, func(l *live) error {
		k, err := l.look(ctx)
		if err != nil {
			return err
		}
		for range maxMoves {
			undo, redo, err := s.deps.Log.Stacks(ctx, l.id, n)
			if err != nil {
				return l.failure(err)
			}
			at := k.head
			if k, err = l.look(ctx); err != nil {
				return err
			}
			if k.head.Position == at.Position { // nobody has moved the stacks between the two readings
				stacks = Stacks{
					Undo: undone(undo), Redo: undone(redo), UndoDepth: at.UndoDepth, RedoDepth: at.RedoDepth, Position: at.Position,
				}
				return nil
			}
		}
		return unavailable(errMoved)
	})
	return stacks, err
}

func undone(entries []eventlog.Entry) []Undone {
	list := make([]Undone, len(entries))
	for i, e := range entries {
		list[i] = Undone{Command: e.Command, Type: e.Type, Version: e.Version, Actor: e.Actor}
	}
	return list
}

// Commits reads up to limit records after a position or a version. It returns a
// *TrimmedError, an *AheadError, ErrNoSession, ErrTorn or ErrUnavailable.
func (s *Service) Commits(ctx context.Context, after After, limit int) (c Commits, err error) {
	err = s.within(ctx, func(l *live) error {
		k, err := l.look(ctx)
		if err != nil {
			return err
		}
		c.Head = k.head.Position
		var tail eventlog.Tail
		if after.Position.IsZero() {
			tail, err = s.deps.Log.Read(ctx, l.id, after.Version, limit)
		} else {
			tail, err = s.deps.Log.ReadFrom(ctx, l.id, after.Position, limit)
		}
		for _, e := range tail.Records {
			c.Records = append(c.Records, e.Record)
			if e.Record.Version > c.Head.Version {
				c.Head = e.Record.Position()
			}
		}
		var trimmed *eventlog.TrimmedError
		switch {
		case errors.As(err, &trimmed):
			return &TrimmedError{Oldest: trimmed.Oldest}
		case errors.Is(err, eventlog.ErrForked):
			return &AheadError{Head: c.Head}
		}
		return l.failure(err)
	})
	return c, err
}

// The attachment of a session that says which node blocks which.
const blockingName = "blocking"

// Blocking lists which node blocks which, as load-graph or a loaded project said.
// It returns ErrNoSession or ErrUnavailable.
func (s *Service) Blocking(ctx context.Context) (list []Relationship, err error) {
	err = s.within(ctx, func(l *live) error {
		if _, err := l.look(ctx); err != nil {
			return err
		}
		list, err = l.blocking(ctx)
		return err
	})
	return list, err
}

func (l *live) blocking(ctx context.Context) ([]Relationship, error) {
	document, err := l.svc.deps.Log.Attachment(ctx, l.id, blockingName)
	if err != nil || document == nil {
		return nil, l.failure(err)
	}
	var list []Relationship
	if err := json.Unmarshal(document, &list); err != nil {
		return nil, errors.Join(ErrTorn, err)
	}
	return list, nil
}

// describe is what a head says.
func describe(id uuid.UUID, h eventlog.Head) Info {
	project, _ := uuid.Parse(h.Project) // a damaged one reads as none
	return Info{
		Session: id, Created: h.CreatedAt, LastActivity: h.LastActivity, Project: project, Template: h.Template,
		UndoAvailable: h.UndoDepth > 0, RedoAvailable: h.RedoDepth > 0,
		Nodes: int(h.Count), Dirty: dirty(h), Position: h.Position,
	}
}
