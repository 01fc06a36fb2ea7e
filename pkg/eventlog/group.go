package eventlog

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/wire"
)

// Result is what became of one commit of a group.
type Result struct {
	Position wire.Position
	Err      error
}

// CommitAll appends commits of one session, each decided on the one before, in one round trip. The results are in order.
// When one fails, those after it fail too, normally with a *ConflictError; only that of the first brings records along. No
// commit may be answered to anybody before all before it are.
func (l *Log) CommitAll(ctx context.Context, commits []Commit) []Result {
	results := make([]Result, len(commits))
	sent := len(commits)
	for i := range commits {
		commits[i].more, commits[i].follows = i+1 < len(commits), i > 0
		commits[i].token = rand.Uint64()
		if err := commits[i].check(); err != nil {
			results[i].Err, sent = l.subject(commits[i].Session, err), i
			break
		}
	}
	for _, c := range commits[:sent] {
		l.listProject(ctx, c.Session, c.Meta)
	}
	cmds := l.sendAll(ctx, commits[:sent])
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Resolve) // for all of them together
	defer cancel()
	var broken *ConflictError // what the first that failed was told, as far as it was
	for i, cmd := range cmds {
		v, err := cmd.Result()
		if broken != nil && tooLate(v, err) {
			results[i] = l.follower(commits[i], broken)
			continue
		}
		results[i].Position, results[i].Err = l.settle(ctx, commits[i], v, err)
		if results[i].Err != nil && broken == nil && !errors.As(results[i].Err, &broken) {
			broken = &ConflictError{Head: commits[i].Base}
		}
	}
	for i := sent + 1; i < len(commits); i++ {
		results[i] = l.follower(commits[i], &ConflictError{Head: commits[sent].Base})
	}
	return results
}

// tooLate reports whether the script found another head than the commit's base.
func tooLate(v any, err error) bool {
	r, err := parseReply(v, err)
	return err == nil && r.number(0) == 0
}

// follower is what became of a commit that came too late because one before it in its group did not succeed. It may be in
// the log all the same, when it was sent twice.
func (l *Log) follower(c Commit, broken *ConflictError) Result {
	for _, e := range broken.Records {
		if c.Key == nil && e.Record.Version == c.Record.Version && e.Record.Digest == c.Record.Digest {
			return Result{Position: c.Record.Position()}
		}
	}
	err := &ConflictError{Base: c.Base, Head: broken.Head}
	l.metrics.commits.WithLabelValues(resultOf(err)).Inc()
	return Result{Err: l.subject(c.Session, err)}
}

// sendAll runs the scripts in one pipeline. A server that did not know the script at one of them is sent the rest again, with
// its text; those that it knew there came too late and did nothing.
func (l *Log) sendAll(ctx context.Context, commits []Commit) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(commits))
	if len(commits) == 0 {
		return cmds
	}
	defer l.turns.attempt(time.Now())
	from := 0
	for _, form := range []form{byHash, byText} {
		size := 0
		for i := from; i < len(commits); i++ {
			cmds[i] = l.command(ctx, &commits[i], form)
			size += commits[i].size()
		}
		if err := l.courier.carry(ctx, size, cmds[from:]...); err != nil {
			for _, cmd := range cmds[from:] {
				cmd.SetErr(err)
			}
			break
		}
		for from < len(cmds) && !forgotten(cmds[from].Err()) {
			from++
		}
		if from == len(cmds) {
			break
		}
	}
	return cmds
}
