package session

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/project"
)

// untitled is the name under which a project without nodes is saved.
const untitled = "Untitled"

// Save stores the session's project as it is now. A save of an older version never
// replaces one of a newer version on the same branch. It is no commit. It returns
// ErrNoSession, ErrNoProject, ErrTorn or ErrUnavailable.
func (s *Service) Save(ctx context.Context) (saved Saved, err error) {
	err = s.within(ctx, func(l *live) error {
		saved, err = l.save(ctx, uuid.Nil)
		return err
	})
	return saved, err
}

// SaveProject saves the session that has the project: the one that ctx names, or the
// only one. It returns ErrManySessions, ErrProjectNotFound and the errors of
// [Service.Save].
func (s *Service) SaveProject(ctx context.Context, id uuid.UUID) (saved Saved, err error) {
	if _, named := FromContext(ctx); !named {
		sessions, err := s.sessionsOf(ctx, id)
		switch {
		case err != nil:
			return Saved{}, err
		case len(sessions) == 0:
			return Saved{}, ErrProjectNotFound
		case len(sessions) > 1:
			return Saved{}, ErrManySessions
		}
		ctx = NewContext(ctx, sessions[0].Session)
	}
	err = s.within(ctx, func(l *live) error {
		saved, err = l.save(ctx, id)
		return err
	})
	return saved, err
}

// sessionsOf finds the sessions that have a project loaded, the last used one first.
func (s *Service) sessionsOf(ctx context.Context, id uuid.UUID) ([]Info, error) {
	all, err := s.deps.Log.SessionsOf(ctx, id)
	if err != nil {
		return nil, unavailable(err)
	}
	found := describeAll(all)
	slices.SortStableFunc(found, func(a, b Info) int { return b.LastActivity.Compare(a.LastActivity) })
	return found, nil
}

// ViewProject is [Service.View] of the session that has the project, the last used
// one of several; of the saved project if no session has it. It returns
// ErrProjectNotFound too.
func (s *Service) ViewProject(ctx context.Context, id uuid.UUID, fn func(View) error) error {
	sessions, err := s.sessionsOf(ctx, id)
	if err != nil {
		return err
	}
	if len(sessions) > 0 {
		return s.View(NewContext(ctx, sessions[0].Session), fn)
	}
	v, _, err := s.storedView(ctx, id)
	if err != nil {
		return err
	}
	return fn(v)
}

// snapshot is a session's project at one version.
type snapshot struct {
	identity
	pos   wire.Position
	name  string
	nodes []*graph.Node
}

// save stores the project; want is which one it must be, zero for any.
func (l *live) save(ctx context.Context, want uuid.UUID) (Saved, error) {
	var snap snapshot
	err := l.read(ctx, func(st *state, _ eventlog.Head) error {
		switch {
		case st.project == uuid.Nil:
			return ErrNoProject
		case want != uuid.Nil && st.project != want:
			return ErrProjectNotFound
		}
		snap = snapshot{identity: st.identity, pos: st.pos, name: untitled, nodes: slices.Collect(st.graph.All())}
		return nil
	})
	if err != nil {
		return Saved{}, err
	}
	at, err := l.store(ctx, &snap)
	if err != nil {
		return Saved{}, err
	}
	saved := Saved{Session: l.id, Project: snap.project, Position: at}
	if saved.Dirty, err = l.mark(ctx, at.Version); err != nil {
		return Saved{}, err
	}
	l.announce(ctx, wire.ProjectSaved, wire.AppendNumber(nil, "saved_version", at.Version), uuid.Nil, "", "")
	return saved, nil
}

// store writes a snapshot to the project store and returns the position that is
// stored: the snapshot's, or that of a newer save.
func (l *live) store(ctx context.Context, snap *snapshot) (wire.Position, error) {
	blocking, err := l.blocking(ctx)
	if err != nil {
		return wire.Position{}, err
	}
	if len(snap.nodes) > 0 {
		snap.name = snap.nodes[0].Name
	}
	p := project.Project{
		Summary: project.Summary{
			ID: snap.project, Name: snap.name, Template: snap.templateID, Position: snap.pos, SavedAt: l.svc.deps.Now(),
		},
		Nodes: make([]wire.Image, len(snap.nodes)), Blocking: make([]project.Blocking, len(blocking)),
	}
	for i, n := range snap.nodes {
		p.Nodes[i] = wire.Image{Node: n.ID, Bytes: graph.AppendImage(nil, n)}
	}
	for i, b := range blocking {
		p.Blocking[i] = project.Blocking(b)
	}
	var over wire.Position
	const tries = 3 // each against another save that came first
	for range tries {
		err = l.svc.deps.Projects.Save(ctx, p, over)
		var newer *project.NewerError
		if !errors.As(err, &newer) {
			break
		}
		onBranch, err := l.has(ctx, newer.Stored)
		if err != nil || onBranch {
			return newer.Stored, err
		}
		over = newer.Stored
	}
	if err != nil {
		return wire.Position{}, projectError(err)
	}
	return snap.pos, nil
}

// has reports whether a position is on the session's branch.
func (l *live) has(ctx context.Context, p wire.Position) (bool, error) {
	_, err := l.svc.deps.Log.ReadFrom(ctx, l.id, p, 1)
	var trimmed *eventlog.TrimmedError
	switch {
	case err == nil, errors.As(err, &trimmed): // nothing contradicts it
		return true, nil
	case errors.Is(err, eventlog.ErrForked):
		return false, nil
	default:
		return false, l.failure(err)
	}
}

// mark notes the version that is saved, and reports whether the session has gone on.
func (l *live) mark(ctx context.Context, version uint64) (bool, error) {
	if err := l.svc.deps.Log.Update(ctx, l.id, eventlog.HeadChange{Saved: &version}); err != nil {
		return false, l.failure(err)
	}
	k, err := l.look(ctx)
	if err != nil {
		return false, err
	}
	return dirty(k.head), nil
}

// ResetDirty marks the session as saved without saving it. It returns ErrNoSession
// or ErrUnavailable.
func (s *Service) ResetDirty(ctx context.Context) (saved Saved, err error) {
	err = s.within(ctx, func(l *live) error {
		k, err := l.look(ctx)
		if err != nil {
			return err
		}
		info := describe(l.id, k.head)
		saved = Saved{Session: l.id, Project: info.Project, Position: info.Position}
		saved.Dirty, err = l.mark(ctx, info.Position.Version)
		return err
	})
	return saved, err
}
