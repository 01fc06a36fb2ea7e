package fault

import (
	"context"
	"errors"
	"time"

	"github.com/talus-tally/talus/tests/chaos/topology"
)

// feeds are faults of pub/sub alone: everything else of Redis works.
func feeds() []Fault {
	return []Fault{
		{ID: "F10-kill", Title: "subscriptions killed", Hold: 3 * time.Second, Keeps: true, Inject: killFeeds},
		{ID: "F10-buffer", Title: "subscriptions overrun their output buffer", Hold: 4 * time.Second, Keeps: true, Inject: smallBuffers},
	}
}

func killFeeds(_ context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	stop := every(250*time.Millisecond, func(ctx context.Context) {
		if err := redis.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub"); err != nil && ctx.Err() == nil {
			s.Wrong("%v", err)
		}
	})
	return func(context.Context) error { stop(); return nil }, nil
}

// smallBuffers lets subscribers read slowly and Redis wait for none of them.
func smallBuffers(ctx context.Context, s *Scene) (Heal, error) {
	const limit, standard = "pubsub 65536 16384 1", "pubsub 33554432 8388608 60"
	redis := s.System.Primary
	if err := redis.Do(ctx, "CONFIG", "SET", "client-output-buffer-limit", limit); err != nil {
		return nil, err
	}
	var links []*topology.Link
	for _, e := range s.System.Edges {
		links = append(links, e.Redis)
	}
	clear, err := impair(links, func(l *topology.Link) error { return l.Impair("bandwidth", topology.Down, map[string]int{"rate": 30}) })
	return func(ctx context.Context) error {
		info, ierr := infoOf(ctx, redis, "stats")
		s.Note("%s connections ended at the limit", info["client_output_buffer_limit_disconnections"])
		return errors.Join(clear(ctx), ierr, redis.Do(ctx, "CONFIG", "SET", "client-output-buffer-limit", standard))
	}, err
}
