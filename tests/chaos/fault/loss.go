package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/talus-tally/talus/tests/chaos/topology"
)

// lossPause lets answers that Redis gave before it lost data arrive: what is known later was never lost.
const lossPause = 300 * time.Millisecond

// redisLoses are faults that take acknowledged commits away.
func redisLoses() []Fault {
	return []Fault{
		{ID: "F8", Title: "fail-over to a lagging replica", Hold: 2 * time.Second, Loses: true, Shape: topology.Shape{Replica: true}, Inject: failOver},
		{ID: "F11-restore", Title: "old data restored", Hold: 3 * time.Second, Loses: true, Inject: restored},
		{ID: "F11-truncate", Title: "tail of the AOF lost", Hold: time.Second, Loses: true, Inject: truncated},
		{ID: "F11-flush", Title: "FLUSHALL", Hold: time.Second, Loses: true, Erases: true, Inject: flushed},
		{ID: "F11-keys", Title: "keys of sessions deleted", Hold: time.Second, Loses: true, Erases: true, Aims: 2, Inject: deleted("*")},
		{ID: "F11-torn", Title: "nodes of a session deleted", Hold: time.Second, Loses: true, Aims: 1, Inject: deleted("n:*")},
		{ID: "F23", Title: "log compacted while clients resume", Hold: 10 * time.Second, Inject: compacted},
	}
}

// failOver cuts the replica off, lets the primary go on alone, and promotes the replica.
func failOver(ctx context.Context, s *Scene) (Heal, error) {
	if s.System.Replica == nil { // a second round needs a second replica
		return func(context.Context) error { return nil }, nil
	}
	s.System.Replication.Cut()
	pause(ctx, time.Second+time.Duration(s.Rng.IntN(1000))*time.Millisecond)
	return func(ctx context.Context) error {
		s.System.Primary.Kill()
		pause(ctx, lossPause)
		s.Lost("the replica lagged")
		return s.System.Promote(ctx)
	}, nil
}

// restored keeps a copy of the data and brings it back after a while.
func restored(ctx context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	copied := redis.Path() + ".old"
	if err := os.CopyFS(copied, os.DirFS(redis.Path("appendonlydir"))); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		redis.Kill()
		pause(ctx, lossPause)
		err := os.RemoveAll(redis.Path("appendonlydir"))
		err = errors.Join(err, os.Rename(copied, redis.Path("appendonlydir")))
		s.Lost("an old copy was restored")
		return errors.Join(err, redis.Start())
	}, nil
}

// truncated kills Redis and takes the end of its log, as a power failure does.
func truncated(ctx context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	redis.Kill()
	pause(ctx, lossPause)
	err := cutTail(redis, s.Rng.Int64N(200<<10))
	s.Lost("the tail of the AOF is gone")
	return func(context.Context) error { return redis.Start() }, err
}

func cutTail(redis *topology.Redis, bytes int64) error {
	path, err := redis.AOF()
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, max(info.Size()/2, info.Size()-bytes))
}

// flushed empties Redis. Answers that are on their way must not look younger than the loss.
func flushed(ctx context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	err := redis.Do(ctx, "FLUSHALL")
	pause(ctx, lossPause)
	s.Lost("FLUSHALL")
	return func(context.Context) error { return nil }, err
}

// deleted takes keys of the sessions that it is aimed at.
func deleted(suffix string) func(context.Context, *Scene) (Heal, error) {
	return func(ctx context.Context, s *Scene) (Heal, error) {
		var errs error
		for _, session := range s.Aimed {
			keys, err := keysOf(ctx, s.System.Primary, session, suffix)
			errs = errors.Join(errs, err)
			if len(keys) == 0 {
				errs = errors.Join(errs, fmt.Errorf("session %s has no keys %s", session, suffix))
				continue
			}
			args := []any{"DEL"}
			for _, key := range keys {
				args = append(args, key)
			}
			errs = errors.Join(errs, s.System.Primary.Do(ctx, args...))
		}
		pause(ctx, lossPause)
		s.Lost("keys were deleted", s.Aimed...)
		return func(context.Context) error { return nil }, errs
	}
}

func keysOf(ctx context.Context, r *topology.Redis, session, suffix string) ([]string, error) {
	admin := r.Admin()
	defer admin.Close()
	var keys []string
	for at := uint64(0); ; {
		page, next, err := admin.Scan(ctx, at, "talus:{*}:"+session+":"+suffix, 1000).Result()
		if err != nil {
			return nil, err
		}
		keys = append(keys, page...)
		if at = next; at == 0 {
			return keys, nil
		}
	}
}

// compacted writes so much into a session that its log is cut all the time, and keeps its clients away meanwhile: they come
// back to both sides of the log's beginning.
func compacted(ctx context.Context, s *Scene) (Heal, error) {
	const big = 180 << 10 // of the 64 MiB that a log may have; a commit has its value three times
	p, err := newPusher(ctx, s, s.Sessions[0], big)
	if err != nil {
		return nil, err
	}
	stopPushing := every(5*time.Millisecond, p.push)
	stopCutting := every(3*time.Second, func(ctx context.Context) {
		var err error
		for _, e := range s.System.Edges {
			e.Front.Cut()
		}
		pause(ctx, time.Duration(1000+s.Rng.IntN(2000))*time.Millisecond)
		for _, e := range s.System.Edges {
			err = errors.Join(err, e.Front.Mend())
		}
		if err != nil {
			s.Wrong("%v", err)
		}
	})
	return func(context.Context) error {
		stopCutting()
		stopPushing()
		s.Note("%d commits of about 550 KiB, %d refused", p.done.Load(), p.refused.Load())
		return nil
	}, nil
}
