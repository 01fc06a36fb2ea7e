package eventlog

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// The sessions of a project are listed under a key of the project, which is in another slot than the sessions. So the list
// is never the truth: the head says which project a session has. A session is listed before the commit that gives it a
// project, so that none is missing; one that is listed in vain is struck off by who looks. What Redis lost is put back by
// ListProjects.

// listedInVain is the age from which an entry that its session's head contradicts is struck off. A younger one may be of a
// commit that is on its way.
const listedInVain = time.Minute

// listProject lists a session under the project that a commit gives it. When that fails, the session is not found by its
// project until it is listed again; the commit is more important.
func (l *Log) listProject(ctx context.Context, session uuid.UUID, change HeadChange) {
	if change.Project == nil || *change.Project == "" {
		return
	}
	entry := redis.Z{Score: float64(time.Now().UnixMilli()), Member: session.String()}
	if err := l.rdb.ZAdd(ctx, projectKey(*change.Project), entry).Err(); err != nil {
		l.metrics.unlisted.Inc()
	}
}

// unlistProject strikes a deleted session off.
func (l *Log) unlistProject(ctx context.Context, session uuid.UUID, project string) {
	if project != "" {
		_ = l.rdb.ZRem(ctx, projectKey(project), session.String()).Err() // or by who looks next
	}
}

// SessionsOf finds the sessions that have a project. It returns ErrUnavailable.
func (l *Log) SessionsOf(ctx context.Context, project uuid.UUID) ([]Overview, error) {
	var entries []redis.Z
	err := retry(ctx, func() (err error) {
		entries, err = l.rdb.ZRangeWithScores(ctx, projectKey(project.String()), 0, -1).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	sessions := make([]uuid.UUID, len(entries)) // in their order; what is no id is that of no session
	for i, e := range entries {
		member, _ := e.Member.(string)
		sessions[i], _ = uuid.Parse(member)
	}
	all, err := l.Overviews(ctx, sessions...)
	if err != nil {
		return nil, err
	}
	found := all[:0]
	var vain []any
	for i, o := range all {
		switch {
		case o.Err == nil && o.Head.Project == project.String():
			found = append(found, o)
		case !errors.Is(o.Err, ErrTorn) && time.Since(time.UnixMilli(int64(entries[i].Score))) > listedInVain:
			vain = append(vain, entries[i].Member)
		}
	}
	if len(vain) > 0 {
		_ = l.rdb.ZRem(ctx, projectKey(project.String()), vain...).Err() // or the next time
	}
	return found, nil
}

// ListProjects lists sessions under their projects that are not, in one round trip. It returns ErrUnavailable.
func (l *Log) ListProjects(ctx context.Context, sessions ...Overview) error {
	now, n := float64(time.Now().UnixMilli()), 0
	p := l.rdb.Pipeline()
	for _, o := range sessions {
		if o.Err == nil && o.Head.Project != "" {
			p.ZAddNX(ctx, projectKey(o.Head.Project), redis.Z{Score: now, Member: o.Session.String()})
			n++
		}
	}
	if n == 0 {
		return nil
	}
	_, err := p.Exec(ctx)
	return classify(err)
}
