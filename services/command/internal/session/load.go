package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/loadgraph"
	"github.com/talus-tally/talus/services/command/internal/render"
)

// maxLoaded is the size in bytes up to which project:loaded carries the graph.
const maxLoaded = 256 << 10

// loading replaces all that a session holds. What it commits does not depend on what
// was there before.
type loading struct {
	unprepared
	next     *state // staged in the log, not live yet
	staged   eventlog.Staged
	blocking []Relationship
	saved    bool // the graph comes from the project store

	event      []wire.Event
	incomplete bool
}

func (in *loading) decide(st *state, call *Call) (plan, error) {
	project, template := in.next.project.String(), in.next.templateID
	p := plan{
		next: in.next, staged: &in.staged, project: &in.next.identity, after: in.event, incomplete: in.incomplete, command: call.CommandID,
		stack: eventlog.StackClear, saved: in.saved, result: Result{Type: "LoadGraph"},
		meta: eventlog.HeadChange{Project: &project, Template: &template, Attachments: map[string][]byte{blockingName: nil}},
	}
	if in.saved {
		version := st.pos.Version + 1
		p.meta.Saved = &version
	}
	if len(in.blocking) > 0 {
		document, err := json.Marshal(in.blocking)
		if err != nil {
			return plan{}, fmt.Errorf("blocking relationships: %w", err)
		}
		p.meta.Attachments[blockingName] = document
	}
	return p, nil
}

// LoadGraph replaces the session's graph by the document. An unknown template leaves
// the graph without rules. It returns a *loadgraph.Refusal or the errors of
// [Service.Execute] but ErrInvalidState.
func (s *Service) LoadGraph(ctx context.Context, d *loadgraph.Document, call Call) (r Result, err error) {
	s.identify(&call)
	about := identity{project: d.ProjectID, templateID: d.TemplateID, template: s.template(d.TemplateID)}
	if about.project == uuid.Nil {
		about.project = s.deps.NewID()
	}
	nodes, orphans, err := d.Build(about.template)
	if err != nil {
		return Result{}, err
	}
	in := &loading{next: &state{identity: about}, blocking: make([]Relationship, len(d.Blocking))}
	for i, b := range d.Blocking {
		in.blocking[i] = Relationship(b)
	}
	err = s.within(ctx, func(l *live) error {
		r, err = l.replaceBy(ctx, in, nodes, call)
		return err
	})
	if err == nil && !r.Replayed {
		r.Orphans = &orphans
	}
	return r, err
}

// replaceBy stages the nodes beside the live ones and switches them in.
func (l *live) replaceBy(ctx context.Context, in *loading, nodes []*graph.Node, call Call) (Result, error) {
	if call.Key != "" { // before the work, which would be for nothing
		if r, _, err := l.recall(ctx, &call); r != nil || err != nil {
			return l.replay(ctx, r, &call, err)
		}
	}
	in.next.graph = graph.New()
	if err := in.next.graph.Load(slices.Values(nodes)); err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	staged, err := l.svc.deps.Log.Stage(ctx, l.id, func(yield func(wire.Image) bool) {
		for _, n := range nodes {
			image := graph.AppendImage(nil, n)
			in.next.bytes += stored(image)
			if !yield(wire.Image{Node: n.ID, Bytes: image}) {
				return
			}
		}
	})
	if err != nil {
		return Result{}, l.failure(err)
	}
	in.staged, in.next.generation = staged, staged.Generation
	in.next.count, in.next.sum = staged.Count, staged.Sum
	in.tell()
	return l.perform(ctx, loadTimeout, in, call)
}

// tell makes the event. A graph that is large as it is stored is not even rendered.
func (in *loading) tell() {
	fields := []byte(noGraph)
	in.incomplete = true
	if in.next.bytes <= maxLoaded {
		whole := render.Graph([]byte(`"graph":`), in.next.graph, in.next.template)
		if len(whole) <= maxLoaded {
			fields, in.incomplete = whole, false
		}
	}
	in.event = []wire.Event{{Name: wire.ProjectLoaded, Fields: fields}}
}
