package eventlog

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/wire"
)

// Result is what became of one commit of a group.
type Result struct {
	Position wire.Position
	Err      error
}

// CommitAll appends commits of one session, each decided on the one before, in one round trip and as few scripts as it may. The results are in order.
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
	answers := l.sendAll(ctx, commits[:sent])
	if slices.ContainsFunc(answers, func(a answer) bool { return a.err != nil }) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.cfg.Resolve) // for all of them together
		defer cancel()
	}
	var broken *ConflictError // what the first that failed was told, as far as it was
	for i, a := range answers {
		if broken != nil && a.tooLate() {
			results[i] = l.follower(commits[i], broken)
			continue
		}
		results[i].Position, results[i].Err = l.settle(ctx, commits[i], a.value, a.err)
		if results[i].Err != nil && broken == nil && !errors.As(results[i].Err, &broken) {
			broken = &ConflictError{Head: commits[i].Base}
		}
	}
	for i := sent + 1; i < len(commits); i++ {
		results[i] = l.follower(commits[i], &ConflictError{Head: commits[sent].Base})
	}
	return results
}

// answer is what commit.lua says of one commit.
type answer struct {
	value any
	err   error
}

// errNotLooked is for the commits of a group behind the first that was refused.
var errNotLooked = errors.New("the group ended before")

// tooLate reports whether the script found another head than the commit's base, or would have.
func (a answer) tooLate() bool {
	r, err := parseReply(a.value, a.err)
	return errors.Is(a.err, errNotLooked) || err == nil && r.number(0) == 0
}

// eachAnswer takes apart what commit.lua answered for a group of n.
func eachAnswer(dst []answer, value any, err error, n int) []answer {
	r, bad := parseReply(value, err)
	switch {
	case n == 1 || forgotten(err) || errors.Is(classify(err), ErrUnavailable):
		for range n {
			dst = append(dst, answer{value, err})
		}
		return dst
	case bad != nil:
		dst, n = append(dst, answer{value, err}), n-1
	case r.number(0) != 1:
		dst, n = append(dst, answer{value: value}), n-1
	default:
		pairs := (len(r) - 1) / 2
		for i := range min(n, pairs) {
			dst = append(dst, answer{value: []any{r[0], r[1+2*i], r[2+2*i]}})
		}
		if n -= pairs; n > 0 && len(r) > 1+2*pairs {
			refused, _ := r[1+2*pairs].(error)
			dst, n = append(dst, answer{r[1+2*pairs], refused}), n-1
		}
	}
	for range n {
		dst = append(dst, answer{err: errNotLooked})
	}
	return dst
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

// Bounds of what one script writes, so that it does not hold up the others for long: less than 1 ms.
const (
	scriptCommits = 32
	scriptBytes   = 64 << 10
)

// scripts divides commits into groups that one script each may write.
func scripts(commits []Commit) (groups [][]Commit) {
	from, size := 0, 0
	for i := range commits {
		c := &commits[i]
		if i > from && (i-from == scriptCommits || size+c.size() > scriptBytes || !c.joins(&commits[i-1])) {
			groups = append(groups, commits[from:i])
			from, size = i, 0
		}
		size += c.size()
	}
	return append(groups, commits[from:])
}

// joins reports whether a commit can be in one script with the one before.
func (c *Commit) joins(before *Commit) bool {
	return c.Session == before.Session && c.Base == before.Record.Position() && c.Generation == before.Generation && c.Silent == before.Silent &&
		c.Staged == nil && before.Staged == nil
}

// sendAll runs the scripts in one pipeline. A server that did not know the script at one of them is sent the rest again, with
// its text; those that it knew there came too late and did nothing.
func (l *Log) sendAll(ctx context.Context, commits []Commit) []answer {
	if len(commits) == 0 {
		return nil
	}
	defer l.turns.attempt(time.Now())
	groups := scripts(commits)
	cmds := make([]*redis.Cmd, len(groups))
	from := 0
	for _, form := range []form{byHash, byText} {
		size, n := 0, 0
		for i := from; i < len(groups); i++ {
			cmds[i] = l.command(ctx, groups[i], form)
			n += len(groups[i])
			for j := range groups[i] {
				size += groups[i][j].size()
			}
		}
		if err := l.courier.carry(ctx, size, n, cmds[from:]...); err != nil {
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
	answers := make([]answer, 0, len(commits))
	for i, cmd := range cmds {
		value, err := cmd.Result()
		answers = eachAnswer(answers, value, err, len(groups[i]))
	}
	return answers
}
