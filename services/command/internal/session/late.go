package session

import (
	"context"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
)

// late is how often in a row this instance came too late to commit to a session, or
// had to wait for another's turn. Worker only.
type late struct {
	conflicts int
	waits     int
}

// turnAfter is the number of conflicts in a row after which a commit asks for a turn.
const turnAfter = 4

// asks reports whether the next commit asks for a turn.
func (l late) asks() bool { return l.conflicts >= turnAfter }

// overtake brings the state past the commits that another instance made first.
func (l *live) overtake(conflict *eventlog.ConflictError, began uint64) {
	err := errStale
	if conflict.Head.Version > l.state.pos.Version && len(conflict.Records) > 0 {
		err = l.apply(conflict.Records)
	}
	switch {
	case err != nil:
		l.forget(err)
	case l.state.pos.Version >= conflict.Head.Version:
		l.confirmed = began
	}
}

// yield waits while another instance has its turn: a moment, and then a longer one.
func (l *live) yield(ctx context.Context, turn *eventlog.TurnError) {
	l.svc.metrics.yields.Inc()
	if turn.Head.Version > l.state.pos.Version {
		if err := l.follow(ctx); err != nil && !lost(err) {
			l.forget(err)
		}
		return
	}
	const shortest, longest = time.Millisecond, 8 * time.Millisecond
	wait := min(shortest<<min(l.late.waits, 3), longest, turn.Left)
	l.late.waits++
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
