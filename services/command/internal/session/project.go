package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/project"
	"github.com/talus-tally/talus/services/command/internal/render"
)

// creation puts a project with its root into an empty session, as version 1.
type creation struct {
	unprepared
	about identity
	root  graph.Command
}

func (in *creation) decide(st *state, call *Call) (plan, error) {
	if st.project != uuid.Nil {
		return plan{}, ErrKeyReused // only a key leads twice to the same session
	}
	ch, err := in.root.Decide(st.graph, in.about.template)
	if err != nil {
		return plan{}, err
	}
	id, template := in.about.project.String(), in.about.templateID
	node := ch.Created()
	return plan{
		change: ch, project: &in.about, before: executing(), after: executed(node), command: call.CommandID,
		meta:   eventlog.HeadChange{Project: &id, Template: &template},
		result: Result{Type: "CreateProject", Node: node},
	}, nil
}

// CreateProject makes a session with a new project: one root of the template's first
// type, which carries the name. It returns the errors of Templates, a
// *graph.Rejection, ErrKeyReused, ErrNoSession if the session of a repeated call was
// deleted, or ErrUnavailable. A refused call leaves nothing behind.
func (s *Service) CreateProject(ctx context.Context, templateID, name string, call Call) (Result, error) {
	t, err := s.deps.Templates.Template(templateID)
	if err != nil {
		return Result{}, err
	}
	s.identify(&call)
	data, err := json.Marshal(map[string]string{"blueprint_type_id": t.NodeTypes[0].Ref(), "name": name})
	if err != nil {
		return Result{}, fmt.Errorf("project: %w", err)
	}
	root, err := graph.ParseCommand("CreateNode", data, call.CommandID)
	if err != nil {
		return Result{}, err
	}
	if _, err := root.Decide(graph.New(), t); err != nil {
		return Result{}, err
	}
	in := &creation{root: root, about: identity{project: s.newID("project", &call), templateID: templateID, template: t}}
	return s.inNew(ctx, s.newID("project session", &call), &call, func(l *live) (Result, error) { return l.perform(ctx, s.cfg.Deadline, in, call) })
}

// inNew makes a session for what fn does in it, and removes it again if fn fails.
func (s *Service) inNew(ctx context.Context, id uuid.UUID, call *Call, fn func(*live) (Result, error)) (Result, error) {
	if !call.IfMatch.allows(wire.Position{}) {
		return Result{}, &MatchError{} // of a session that is not there yet
	}
	_, existed, err := s.create(ctx, id)
	if err != nil {
		return Result{}, err
	}
	l := s.acquire(id)
	defer s.warm.release(l)
	r, err := fn(l)
	if err != nil && !existed {
		s.abandon(ctx, id, err)
	}
	return r, err
}

// LoadProject puts a saved project into the session that ctx names, or into a new
// one. It returns ErrProjectNotFound and the errors of [Service.Execute] but
// ErrInvalidState.
func (s *Service) LoadProject(ctx context.Context, id uuid.UUID, call Call) (r Result, err error) {
	stored, err := s.deps.Projects.Get(ctx, id)
	if err != nil {
		return Result{}, projectError(err)
	}
	nodes, err := nodesOf(stored)
	if err != nil {
		return Result{}, err
	}
	s.identify(&call)
	about := identity{project: id, templateID: stored.Template, template: s.template(stored.Template)}
	in := &loading{next: &state{identity: about}, saved: true, blocking: make([]Relationship, len(stored.Blocking))}
	for i, b := range stored.Blocking {
		in.blocking[i] = Relationship(b)
	}
	load := func(l *live) (Result, error) { return l.replaceBy(ctx, in, nodes, call) }
	if _, named := FromContext(ctx); !named {
		return s.inNew(ctx, s.newID("project load", &call), &call, load)
	}
	err = s.within(ctx, func(l *live) error {
		r, err = load(l)
		return err
	})
	return r, err
}

// nodesOf reads the nodes of a saved project.
func nodesOf(p project.Project) ([]*graph.Node, error) {
	nodes := make([]*graph.Node, len(p.Nodes))
	for i, im := range p.Nodes {
		n, err := graph.ParseImage(im.Node, im.Bytes)
		if err != nil {
			return nil, fmt.Errorf("saved project %s: %w", p.ID, err)
		}
		nodes[i] = n
	}
	return nodes, nil
}

// projectError turns an error of the store into one of this package.
func projectError(err error) error {
	switch {
	case errors.Is(err, project.ErrNotFound):
		return fmt.Errorf("%w: %w", ErrProjectNotFound, err)
	case errors.Is(err, project.ErrUnavailable):
		return unavailable(err)
	default:
		return err
	}
}

// Projects lists saved projects. It returns ErrUnavailable.
func (s *Service) Projects(ctx context.Context, limit int, cursor string) (ProjectPage, error) {
	page, err := s.deps.Projects.List(ctx, cursor, limit)
	if err != nil {
		return ProjectPage{}, projectError(err)
	}
	list := make([]Project, len(page.Projects))
	for i, p := range page.Projects {
		list[i] = summary(p)
	}
	return ProjectPage{Projects: list, Total: page.Total, Next: page.Next}, nil
}

func summary(p project.Summary) Project {
	return Project{ID: p.ID, Name: p.Name, Template: p.Template, SavedAt: p.SavedAt, Version: p.Position.Version}
}

// Project reads a saved project with its graph. It returns ErrProjectNotFound or
// ErrUnavailable.
func (s *Service) Project(ctx context.Context, id uuid.UUID) (Project, error) {
	v, stored, err := s.storedView(ctx, id)
	if err != nil {
		return Project{}, err
	}
	p := summary(stored.Summary)
	p.Graph = &Body{JSON: render.Graph(nil, v.Graph, v.Template), Position: stored.Position, Nodes: v.Graph.Len()}
	sessions, err := s.sessionsOf(ctx, id)
	if len(sessions) > 0 {
		p.Session = sessions[0].Session
	}
	return p, err
}

// storedView shows a project as it was saved.
func (s *Service) storedView(ctx context.Context, id uuid.UUID) (View, project.Project, error) {
	stored, err := s.deps.Projects.Get(ctx, id)
	if err != nil {
		return View{}, stored, projectError(err)
	}
	nodes, err := nodesOf(stored)
	if err != nil {
		return View{}, stored, err
	}
	g := graph.New()
	if err := g.Load(func(yield func(*graph.Node) bool) {
		for _, n := range nodes {
			if !yield(n) {
				return
			}
		}
	}); err != nil {
		return View{}, stored, fmt.Errorf("saved project %s: %w", id, err)
	}
	info := Info{Project: id, Template: stored.Template, Nodes: g.Len(), Position: stored.Position}
	return View{Info: info, Graph: g, Template: s.template(stored.Template), Position: stored.Position}, stored, nil
}

// DeleteProject removes a saved project; sessions that have it loaded stay. It
// returns ErrProjectNotFound or ErrUnavailable.
func (s *Service) DeleteProject(ctx context.Context, id uuid.UUID) error {
	err := s.deps.Projects.Delete(ctx, id)
	if err == nil {
		return nil
	}
	return projectError(err)
}
