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
		{ID: "F23", Title: "log compacted while clients resume", Hold: time.Second, Shape: cutting(), LogEvery: 100 * time.Millisecond, Inject: compacted},
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

// cutting is a system that cuts its logs; the others keep them whole for the checker.
func cutting() topology.Shape {
	shape := quick()
	shape.Settings["TALUS_LOG_RETENTION"], shape.Settings["TALUS_LOG_BYTES"] = "2000", "8MiB"
	return shape
}

// compacted keeps all clients away and writes so much into a session that its log is cut up to about the place where its
// clients stand. Then they come back, to one side of the log's beginning or the other, while it is cut on.
func compacted(ctx context.Context, s *Scene) (Heal, error) {
	const big = 80 << 10 // of the 8 MiB that the log may have; a commit has its value three times
	session := s.Sessions[0]
	p, err := newPusher(ctx, s, session, big)
	if err != nil {
		return nil, err
	}
	for _, e := range s.System.Edges {
		e.Front.Cut()
	}
	heal := func(ctx context.Context) error {
		stop := every(100*time.Millisecond, p.push)
		defer stop()
		var err error
		for _, e := range s.System.Edges {
			err = errors.Join(err, e.Front.Mend())
		}
		pause(ctx, time.Second)
		return err
	}
	defer every(20*time.Millisecond, p.push)() // not faster than the logs are read
	_, stand, err := span(ctx, s.System.Primary, session)
	target := stand + int64(s.Rng.IntN(5)) - 1
	first := int64(0)
	for began := time.Now(); err == nil && first < target && time.Since(began) < healLimit/2; pause(ctx, 50*time.Millisecond) {
		first, _, err = span(ctx, s.System.Primary, session)
	}
	if err == nil && first < target {
		s.Wrong("the log was not cut")
	}
	s.Note("clients stood at version %d, and the log began at %d after %d commits of 240 KiB", stand, first, p.done.Load())
	return heal, err
}

// span are the versions of the first and the last entry in the log of a session.
func span(ctx context.Context, r *topology.Redis, session string) (first, last int64, err error) {
	keys, err := keysOf(ctx, r, session, "l")
	if err != nil || len(keys) != 1 {
		return 0, 0, fmt.Errorf("session %s: %d logs: %w", session, len(keys), err)
	}
	admin := r.Admin()
	defer admin.Close()
	oldest, err := admin.XRangeN(ctx, keys[0], "-", "+", 1).Result()
	newest, nerr := admin.XRevRangeN(ctx, keys[0], "+", "-", 1).Result()
	if err = errors.Join(err, nerr); err != nil || len(oldest) == 0 || len(newest) == 0 {
		return 0, 0, fmt.Errorf("session %s: no entries in the log: %w", session, err)
	}
	for version, id := range map[*int64]string{&first: oldest[0].ID, &last: newest[0].ID} {
		_, serr := fmt.Sscanf(id, "%d-0", version)
		err = errors.Join(err, serr)
	}
	return first, last, err
}
