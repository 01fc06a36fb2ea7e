package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/replica"
)

// writer commands one session, through another instance each time.
type writer struct {
	w       *workload
	session *session
	name    string
	rng     *rand.Rand
}

func newWriter(w *workload, s *session, number int) *writer {
	return &writer{w: w, session: s, name: fmt.Sprintf("w%d", number), rng: w.draws(1<<40 + uint64(number))}
}

// run writes and reads until ctx ends. What has begun is brought to its end.
func (p *writer) run(ctx context.Context) {
	for pause(ctx, time.Duration(p.rng.ExpFloat64()/p.w.Rate*float64(time.Second))) {
		if p.rng.IntN(100) < 12 {
			p.look(ctx)
			continue
		}
		p.act(ctx, p.draw(ctx))
	}
}

// any is an instance.
func (p *writer) any() string { return p.w.Commands[p.rng.IntN(len(p.w.Commands))] }

// act carries an intention out: it repeats what has no known result, and some of what has.
func (p *writer) act(ctx context.Context, in intention) {
	q := request{session: p.session, f: in.f, op: p.w.nextOp(p.name), attempt: 1, path: in.path, target: in.target, ifMatch: in.ifMatch, expectTop: in.expectTop}
	id := newID(p.rng)
	if in.f != history.Load {
		in.body["command_id"] = id
		q.keyed = true
	}
	if in.f == history.Load || p.rng.IntN(2) == 0 {
		q.key, q.keyed = newID(p.rng), true
	}
	if in.f != history.Load && p.rng.IntN(8) == 0 { // one that nobody can repeat
		delete(in.body, "command_id")
		q.key, q.keyed = "", false
	}
	q.body = mustJSON(in.body)
	a := p.first(ctx, &q)
	a = p.insist(ctx, &q, a)
	if a.kind == history.OK && q.keyed && p.rng.IntN(12) == 0 {
		p.again(ctx, q, in)
	}
	p.learn(in, a)
}

// first sends the request, sometimes several times at once.
func (p *writer) first(ctx context.Context, q *request) answer {
	if !q.keyed || p.rng.IntN(16) != 0 {
		q.node = p.any()
		return p.w.send(context.WithoutCancel(ctx), q)
	}
	const twins = 3
	answers := make([]answer, twins)
	var all sync.WaitGroup
	for i := range twins {
		twin := *q
		twin.attempt, twin.node = q.attempt+i, p.any()
		all.Go(func() { answers[i] = p.w.send(context.WithoutCancel(ctx), &twin) })
	}
	all.Wait()
	q.attempt += twins - 1
	for _, a := range answers {
		if a.kind == history.OK {
			return a
		}
	}
	return answers[0]
}

// insist repeats a request until its result is known, at most for the time that is set.
func (p *writer) insist(ctx context.Context, q *request, a answer) answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.w.RetryFor)
	defer cancel()
	for wait := 50 * time.Millisecond; q.keyed && (a.kind == history.Info || a.code == "RATE_LIMITED"); wait = min(2*wait, 2*time.Second) {
		if !pause(ctx, wait+time.Duration(p.rng.Int64N(int64(wait)))) {
			break
		}
		q.attempt++
		q.node = p.any()
		a = p.w.send(ctx, q)
	}
	return a
}

// again repeats what was carried out: the same request, or another one under its key.
func (p *writer) again(ctx context.Context, q request, in intention) {
	q.attempt++
	q.node = p.any()
	if p.rng.IntN(3) == 0 && in.f == history.Cmd {
		in.body["data"] = map[string]any{"node_id": p.session.root, "property_id": "p0", "new_value": "another body " + p.session.canary}
		in.body["command_type"] = "UpdateProperty"
		q.body = mustJSON(in.body)
	}
	p.w.send(context.WithoutCancel(ctx), &q)
}

// learn notes what an answer tells of the graph.
func (p *writer) learn(in intention, a answer) {
	s := p.session
	switch {
	case a.code == "NODE_NOT_FOUND":
		s.gone(in.target)
	case a.kind != history.OK:
	case in.creates:
		s.created(a.fields.NodeID, in.parent)
	case in.deletes:
		s.gone(in.target)
	case in.moves:
		s.moved(in.target, in.parent)
	case in.f == history.Load:
		s.reset([]string{s.root})
	}
	if a.kind == history.OK {
		version := a.position.Version
		if in.f == history.Undo || in.f == history.Redo {
			version = 0
		}
		s.at(a.position, version)
	}
}

// look reads something.
func (p *writer) look(ctx context.Context) {
	q := request{session: p.session, client: p.name, node: p.any()}
	ctx = context.WithoutCancel(ctx)
	var a answer
	switch p.rng.IntN(3) {
	case 0:
		a = p.w.readGraph(ctx, &q, func(r *replica.Replica) { p.session.reset(r.IDs()) })
	case 1:
		q.f, q.path = history.Get, "/sessions/"+p.session.id+"/info"
		a = p.w.read(ctx, &q, nil)
	default:
		a = p.w.readState(ctx, &q)
	}
	if a.kind == history.OK {
		p.session.at(a.position, 0)
	}
}

// readState reads the stacks.
func (w *workload) readState(ctx context.Context, q *request) answer {
	q.f, q.path = history.State, "/commands/state?session_id="+q.session.id
	return w.read(ctx, q, func(l *history.Line, a *answer) {
		l.Stacks = &history.Stack{Undo: a.fields.Undo, Redo: a.fields.Redo, Depth: a.fields.HistoryCount}
	})
}

// readGraph reads the whole graph; use gets it as a replica.
func (w *workload) readGraph(ctx context.Context, q *request, use func(*replica.Replica)) answer {
	q.f, q.path = history.Graph, "/sessions/"+q.session.id+"/graph"
	var graph *replica.Replica
	a := w.read(ctx, q, func(l *history.Line, a *answer) {
		graph = replica.New()
		if err := graph.Reset(a.fields.Graph); err != nil {
			l.Error, graph = err.Error(), nil
			return
		}
		l.Hash = graph.Hash()
		a.hash = l.Hash
	})
	if graph != nil && use != nil {
		use(graph)
	}
	return a
}
