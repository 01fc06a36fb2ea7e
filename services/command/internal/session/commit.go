package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

// maxMoves bounds how often an undo is prepared again because the session moved on
// while it was.
const maxMoves = 100

// outcome is what came of one try to carry out an intent.
type outcome struct {
	result  Result
	err     error
	refused bool          // err or an idle result is an answer that must not come from an old state
	fresh   bool          // it does not: the state was the head after the request arrived
	at      wire.Position // where the state stood that it was decided on
}

// perform carries out an intent: it decides and commits, again and again while
// others come first, for as long as limit. What is not a commit is answered only on a
// state that was the head after the call began.
func (l *live) perform(ctx context.Context, limit time.Duration, in intent, call Call) (Result, error) {
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > limit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	arrived := l.clock.Add(1)
	if call.Key == "" {
		return l.pursue(ctx, in, &call, arrived)
	}
	for {
		first, err := l.repeats.enter(ctx, call.Key)
		if err != nil {
			return Result{}, err
		}
		if first {
			defer l.repeats.leave(call.Key)
			return l.pursue(ctx, in, &call, arrived)
		}
		if r, _, err := l.recall(ctx, &call); r != nil || err != nil {
			return l.replay(ctx, r, &call, err)
		}
	}
}

// pursue tries an intent until there is an answer that may be given. That takes two
// tries at most: the second is made on a state that is new enough.
func (l *live) pursue(ctx context.Context, in intent, call *Call, arrived uint64) (Result, error) {
	var g goal
	for {
		o, err := l.attempt(ctx, in, call, g, arrived)
		switch {
		case err != nil:
			return Result{}, err
		case o.result.Replayed:
			return l.replay(ctx, &o.result, call, o.err)
		case !o.refused, o.fresh && call.Key == "":
			return o.result, o.err
		}
		k, r, err := l.recheck(ctx, call, o.at)
		switch {
		case r != nil || err != nil:
			return l.replay(ctx, r, call, err)
		case o.fresh || k.head.Position == o.at:
			return o.result, o.err
		}
		g = toward(k)
	}
}

// attempt carries out an intent once, when it is its turn in the queue.
func (l *live) attempt(ctx context.Context, in intent, call *Call, g goal, arrived uint64) (o outcome, err error) {
	if e, ok := in.(*edit); ok {
		a := &attempt{edit: e, call: call, goal: g, arrived: arrived}
		return l.queue.decide(ctx, a, func() { l.announceEarly(ctx, e, call) })
	}
	err = l.queue.do(ctx, func(ctx context.Context) { o = l.try(ctx, in, call, g, arrived) })
	return o, err
}

// recheck reads the head after an answer was decided at a position and, if the call
// has a key, whether it was answered before.
func (l *live) recheck(ctx context.Context, call *Call, at wire.Position) (*look, *Result, error) {
	if call.Key == "" || planted.Is(planted.KeyAfterDecision) {
		k, err := l.look(ctx)
		return k, nil, err
	}
	k := &look{had: at, began: l.clock.Add(1)}
	r, head, err := l.recall(ctx, call)
	k.head = head
	return k, r, err
}

// recall looks up what was answered under the call's key; nil if nothing was.
func (l *live) recall(ctx context.Context, call *Call) (*Result, eventlog.Head, error) {
	head, known, err := l.svc.deps.Log.Answer(ctx, l.id, call.Key)
	if err != nil || known == nil {
		return nil, head, l.failure(err)
	}
	r, err := remembered(known, call)
	return &r, head, err
}

// remembered is the answer that was given under the call's key.
func remembered(known *eventlog.DuplicateError, call *Call) (Result, error) {
	if known.Fingerprint != call.Fingerprint {
		return Result{Replayed: true}, ErrKeyReused
	}
	return parseAnswer(known.Answer)
}

// try carries out an intent once on the newest state there is. Worker only.
func (l *live) try(ctx context.Context, in intent, call *Call, g goal, arrived uint64) outcome {
	for moves := 0; ; {
		if ctx.Err() != nil {
			return outcome{err: unavailable(context.Cause(ctx))}
		}
		o, err := l.tryOnce(ctx, in, call, g, arrived)
		switch {
		case errors.Is(err, errMoved):
			if moves++; moves == maxMoves {
				return outcome{err: unavailable(err)}
			}
		case err == nil:
			return o
		}
	}
}

// tryOnce decides, encodes and commits. The error says to do it again.
func (l *live) tryOnce(ctx context.Context, in intent, call *Call, g goal, arrived uint64) (outcome, error) {
	prepared, err := in.prepare(ctx, l)
	if err == nil && prepared.began > 0 {
		g = prepared
	}
	if err != nil {
		return outcome{err: err}, moved(err)
	}
	st, err := l.reach(ctx, g)
	if err == nil && ctx.Err() != nil { // the load took too long for this call
		err = unavailable(context.Cause(ctx))
	}
	if err != nil {
		return outcome{err: err}, nil
	}
	if !call.IfMatch.allows(st.pos) {
		return l.refuse(&MatchError{Current: st.pos}, arrived), nil
	}
	p, err := in.decide(st, call)
	switch {
	case err != nil:
		return l.refuse(err, arrived), moved(err)
	case p.idle:
		o := l.refuse(nil, arrived)
		o.result = l.complete(p.result, st, call)
		return o, nil
	}
	paper := newPaper(1)
	return l.commit(ctx, l.encode(st, &p, call, &paper), call)
}

// moved is err if it asks for another try.
func moved(err error) error {
	if errors.Is(err, errMoved) {
		return err
	}
	return nil
}

func (l *live) refuse(err error, arrived uint64) outcome {
	return outcome{err: err, refused: true, fresh: l.confirmed > arrived, at: l.state.pos}
}

// commit appends what was encoded and makes it the state. The error says to decide
// again: another instance came first.
func (l *live) commit(ctx context.Context, e *encoded, call *Call) (outcome, error) {
	began := l.clock.Add(1)
	_, err := l.svc.deps.Log.Commit(ctx, e.commit)
	return l.conclude(ctx, e, err, call, began)
}

// conclude is what comes of a commit that began then and ended with err. The error
// says to decide again.
func (l *live) conclude(ctx context.Context, e *encoded, err error, call *Call, began uint64) (outcome, error) {
	if err == nil {
		l.settle(e)
		l.confirmed, l.late = began, late{}
		return outcome{result: l.complete(e.result, l.state, call)}, nil
	}
	var conflict *eventlog.ConflictError
	var turn *eventlog.TurnError
	var known *eventlog.DuplicateError
	switch {
	case errors.As(err, &known):
		r, err := remembered(known, call)
		return outcome{result: r, err: err}, nil
	case errors.As(err, &conflict):
		l.svc.metrics.conflicts.Inc()
		l.late.conflicts++
		l.overtake(conflict, began)
		return outcome{}, err
	case errors.As(err, &turn):
		l.yield(ctx, turn)
		return outcome{}, err
	case errors.Is(err, eventlog.ErrStackMoved):
		return outcome{}, fmt.Errorf("%w: %w", errMoved, err)
	case errors.Is(err, eventlog.ErrForked):
		l.forget(err)
		return outcome{}, err
	case errors.Is(err, eventlog.ErrTooLarge), errors.Is(err, eventlog.ErrStaged), errors.Is(err, eventlog.ErrUnavailable):
		return outcome{err: l.failure(err)}, nil // if the commit is in the log, the next one finds it there
	default:
		l.drop() // what Redis has now is not known
		return outcome{err: l.failure(err)}, nil
	}
}

// settle makes the state what was committed.
func (l *live) settle(e *encoded) {
	if e.next != nil {
		l.replace(e.next)
		return
	}
	l.advance(e.step)
}

// complete adds to a result what the caller asked for beyond it.
func (l *live) complete(r Result, st *state, call *Call) Result {
	r.Session, r.Project = l.id, st.project
	if call.Render {
		r.Graph = l.shown.body(st)
	}
	return r
}
