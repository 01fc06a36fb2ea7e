package session

import (
	"context"
	"errors"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// maxGroupBytes is the size of what one pipeline carries. A command that is larger
// goes alone.
const maxGroupBytes = 1 << 20

// attempt is one try to carry out a command, together with those around it.
type attempt struct {
	edit    *edit
	call    *Call
	goal    goal
	arrived uint64
	alone   bool // its group failed because of it
	outcome outcome
}

// answer tells the caller what came of the command.
func (j *job) answer(o outcome) {
	j.command.outcome = o
	close(j.done)
}

// answers are jobs whose outcome is known and whose callers are still to be told.
type answers []*job

func (a *answers) add(j *job, o outcome) {
	j.command.outcome = o
	*a = append(*a, j)
}

func (a answers) tell() {
	for _, j := range a {
		close(j.done)
	}
}

// decided is a command of a group: what is to be committed, or why nothing is. Both
// may rest on commits that are not made yet, and then hold only if these are.
type decided struct {
	*job
	encoded *encoded // nil: refused
	err     error
	at      wire.Position
}

// group carries out commands that came at the same time. They are decided one on the
// other and committed in one pipeline; nobody is told anything before all that it
// rests on is committed. Worker only.
func (l *live) group(jobs []*job) {
	begun := make([]*job, 0, len(jobs))
	for _, j := range jobs {
		if j.begin() {
			begun = append(begun, j)
		}
	}
	for len(begun) > 0 {
		begun = l.round(begun)
	}
}

// round commits what it can, and returns the jobs that must be decided again.
func (l *live) round(jobs []*job) []*job {
	ctx := jobs[0].ctx
	if len(jobs) > 1 { // nobody may end it for the others
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), l.svc.cfg.Deadline)
		defer cancel()
	}
	if jobs = l.ready(ctx, jobs); len(jobs) == 0 {
		return nil
	}
	list, commits, rest := l.draft(jobs)
	var results []eventlog.Result
	began := l.clock.Add(1)
	switch len(commits) {
	case 0:
	case 1:
		_, err := l.svc.deps.Log.Commit(ctx, commits[0])
		results = []eventlog.Result{{Err: err}}
	default:
		results = l.svc.deps.Log.CommitAll(ctx, commits)
	}
	l.svc.metrics.groups.Observe(float64(len(commits)))
	return append(l.settleAll(ctx, list, results, began), rest...)
}

// ready brings the state to where all jobs may use it, and answers those that cannot
// wait any more.
func (l *live) ready(ctx context.Context, jobs []*job) []*job {
	kept := make([]*job, 0, len(jobs))
	for _, j := range jobs {
		_, err := l.reach(ctx, j.command.goal)
		if j.ctx.Err() != nil {
			err = unavailable(context.Cause(j.ctx))
		}
		if err != nil {
			j.answer(outcome{err: err})
			continue
		}
		kept = append(kept, j)
	}
	if l.state == nil { // a later goal could not be reached
		for _, j := range kept {
			j.answer(outcome{err: unavailable(errStale)})
		}
		return nil
	}
	return kept
}

// draft decides jobs one on the other, as many as go into one pipeline; rest are the
// others.
func (l *live) draft(jobs []*job) (list []decided, commits []eventlog.Commit, rest []*job) {
	st, size, paper := l.state, 0, newPaper(len(jobs))
	list, commits = make([]decided, 0, len(jobs)), make([]eventlog.Commit, 0, len(jobs))
	for n, j := range jobs {
		if n > 0 && (j.command.alone || jobs[n-1].command.alone) {
			return list, commits, jobs[n:]
		}
		d := decided{job: j, at: st.pos}
		d.encoded, d.err = l.decide(st, j.command, &paper)
		if d.encoded == nil {
			list = append(list, d)
			continue
		}
		if size += d.encoded.size(); size > maxGroupBytes && len(commits) > 0 {
			return list, commits, jobs[n:]
		}
		list, commits = append(list, d), append(commits, d.encoded.commit)
		if n+1 < len(jobs) {
			if st == l.state {
				st = l.state.draft()
			}
			st.advance(d.encoded.step)
		}
	}
	return list, commits, nil
}

// decide encodes what the command does to a state; nil if it is refused.
func (l *live) decide(st *state, a *attempt, paper *paper) (*encoded, error) {
	if !a.call.IfMatch.allows(st.pos) {
		return nil, &MatchError{Current: st.pos}
	}
	p, err := a.edit.decide(st, a.call)
	if err != nil {
		return nil, err
	}
	return l.encode(st, &p, a.call, paper), nil
}

// size is what the commit takes in a pipeline, about.
func (e *encoded) size() int {
	return len(e.commit.Record.Raw) + 2*len(e.commit.Delta) + len(e.commit.Entry.Payload)
}

// settleAll answers a group, up to the first commit that failed. Those behind it were
// decided on what did not happen, and are returned. Callers are told when all of the
// group is settled: each of them looks at the session once more when it goes, and
// would hold up the commits behind its own; but before a failure is looked into,
// which may take its time.
func (l *live) settleAll(ctx context.Context, list []decided, results []eventlog.Result, began uint64) (again []*job) {
	repeated := proved(results)
	broken := false
	settled := make(answers, 0, len(list))
	defer func() { settled.tell() }()
	for _, d := range list {
		var err error
		repeat := false
		if d.encoded != nil {
			err, repeat = results[0].Err, repeated[0]
			results, repeated = results[1:], repeated[1:]
		}
		a := d.command
		switch {
		case broken && !lost(err):
			again = append(again, d.job)
		case broken:
			d.answer(outcome{err: l.failure(err)})
		case d.encoded == nil:
			d.answer(outcome{err: d.err, refused: true, fresh: l.confirmed > a.arrived, at: d.at})
		case err != nil && len(list) > 1 && unexpected(err):
			a.alone, broken = true, true
			again = append(again, d.job)
		default:
			if err != nil {
				settled.tell()
				settled = nil
			}
			o, retry := l.conclude(ctx, d.encoded, err, a.call, began)
			o.result.Replayed = o.result.Replayed || repeat
			broken = err != nil
			switch {
			case retry != nil:
				again = append(again, d.job)
			case a.call.Render: // the next to be rendered takes long
				d.answer(o)
			default:
				settled.add(d.job, o)
			}
		}
	}
	return again
}

// proved lets everything count as committed that stands before a commit which is in the log. Repeated are those of which
// another instance made the very same commit, byte for byte, from a repeat of the request.
func proved(results []eventlog.Result) (repeated []bool) {
	repeated = make([]bool, len(results))
	for k, certain := len(results)-1, false; k >= 0; k-- {
		if certain {
			repeated[k] = errors.As(results[k].Err, new(*eventlog.DuplicateError))
			results[k].Err = nil
		}
		certain = results[k].Err == nil
	}
	return repeated
}

// unexpected reports whether the log gave up on a commit for a reason that has to do
// with this one and not with its place.
func unexpected(err error) bool {
	return !lost(err) && !errors.As(err, new(*eventlog.ConflictError)) && !errors.As(err, new(*eventlog.TurnError)) &&
		!errors.As(err, new(*eventlog.DuplicateError)) && !errors.Is(err, eventlog.ErrForked)
}
