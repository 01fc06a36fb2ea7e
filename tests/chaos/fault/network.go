package fault

import (
	"context"
	"errors"
	"time"

	"github.com/talus-tally/talus/tests/chaos/topology"
)

// network are faults between processes.
func network() []Fault {
	return []Fault{
		{ID: "F9-edge", Title: "edge cut off from Redis", Hold: 3 * time.Second, Keeps: true, Inject: cut(oneEdge)},
		{ID: "F9-silent", Title: "edge cut off from Redis without a word", Hold: 6 * time.Second, Keeps: true, Inject: silent(oneEdge)},
		{ID: "F9-command", Title: "command cut off from Redis", Hold: 3 * time.Second, Inject: cut(oneCommand)},
		{ID: "F9-half", Title: "half of the edges cut off from Redis", Hold: 4 * time.Second, Keeps: true, Inject: silent(halfOfEdges)},
		{ID: "F14-latency", Title: "latency and jitter everywhere", Hold: 5 * time.Second, Inject: slow},
		{ID: "F14-slices", Title: "bytes one by one", Hold: 4 * time.Second, Inject: byteByByte},
		{ID: "F14-open", Title: "half-open connections of clients", Hold: 8 * time.Second, Inject: halfOpen},
		{ID: "F14-reset", Title: "connections reset in the middle of a frame", Hold: 4 * time.Second, Inject: resets},
	}
}

// choice draws links of a system.
type choice func(s *Scene) []*topology.Link

func oneEdge(s *Scene) []*topology.Link    { return []*topology.Link{s.Edge().Redis} }
func oneCommand(s *Scene) []*topology.Link { return []*topology.Link{s.Command().Redis} }

func halfOfEdges(s *Scene) []*topology.Link {
	var links []*topology.Link
	for _, e := range some(s.Rng, (len(s.System.Edges)+1)/2, s.System.Edges) {
		links = append(links, e.Redis)
	}
	return links
}

// everyLink are the links to Redis and to clients.
func everyLink(s *Scene) []*topology.Link {
	var links []*topology.Link
	for _, i := range s.System.Instances() {
		links = append(links, i.Redis, i.Front)
	}
	return links
}

// cut refuses connections for a while.
func cut(of choice) func(context.Context, *Scene) (Heal, error) {
	return func(_ context.Context, s *Scene) (Heal, error) {
		links := of(s)
		for _, l := range links {
			l.Cut()
		}
		return func(context.Context) error {
			var err error
			for _, l := range links {
				err = errors.Join(err, l.Mend())
			}
			return err
		}, nil
	}
}

// silent passes nothing on for a while.
func silent(of choice) func(context.Context, *Scene) (Heal, error) {
	return func(_ context.Context, s *Scene) (Heal, error) {
		return impair(of(s), func(l *topology.Link) error { return l.Silence() })
	}
}

// impair impairs links, and clears them as the heal.
func impair(links []*topology.Link, how func(*topology.Link) error) (Heal, error) {
	var err error
	for _, l := range links {
		err = errors.Join(err, how(l))
	}
	return func(context.Context) error {
		for _, l := range links {
			l.Clear()
		}
		return nil
	}, err
}

func slow(_ context.Context, s *Scene) (Heal, error) {
	return impair(everyLink(s), func(l *topology.Link) error {
		attributes := map[string]int{"latency": 10 + s.Rng.IntN(90), "jitter": s.Rng.IntN(50)}
		return errors.Join(l.Impair("latency", topology.Up, attributes), l.Impair("latency", topology.Down, attributes))
	})
}

// byteByByte sends the bytes of one edge's two connections one by one.
func byteByByte(_ context.Context, s *Scene) (Heal, error) {
	edge := s.Edge()
	return impair([]*topology.Link{edge.Front, edge.Redis}, func(l *topology.Link) error {
		attributes := map[string]int{"average_size": 1, "size_variation": 0, "delay": 0}
		return errors.Join(l.Impair("slicer", topology.Up, attributes), l.Impair("slicer", topology.Down, attributes))
	})
}

func halfOpen(_ context.Context, s *Scene) (Heal, error) {
	return impair([]*topology.Link{s.Edge().Front}, func(l *topology.Link) error { return l.Silence() })
}

// resets ends connections after a number of bytes: of clients with both services, and of both services with Redis.
func resets(_ context.Context, s *Scene) (Heal, error) {
	links := []*topology.Link{s.Edge().Front, s.Edge().Redis, s.Command().Front, s.Command().Redis}
	seen := map[*topology.Link]bool{}
	return impair(links, func(l *topology.Link) error {
		if seen[l] {
			return nil
		}
		seen[l] = true
		return l.Impair("limit_data", topology.Down, map[string]int{"bytes": 5_000 + s.Rng.IntN(20_000)})
	})
}

// feeds are faults of pub/sub alone: everything else of Redis works.
func feeds() []Fault {
	return []Fault{
		{ID: "F10-kill", Title: "subscriptions killed", Hold: 3 * time.Second, Keeps: true, Inject: killFeeds},
		{ID: "F10-buffer", Title: "subscriptions overrun their output buffer", Hold: 4 * time.Second, Keeps: true, Shape: shallow(), Inject: smallBuffers},
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
	p, perr := newPusher(ctx, s, s.Sessions[0], 20<<10)
	stop := every(10*time.Millisecond, p.push)
	return func(ctx context.Context) error {
		stop()
		ended := redis.Said("overcoming of output buffer limits")
		if s.Note("%d subscriptions ended at the limit", ended); ended == 0 {
			s.Wrong("no subscription ever reached the limit")
		}
		return errors.Join(clear(ctx), redis.Do(ctx, "CONFIG", "SET", "client-output-buffer-limit", standard))
	}, errors.Join(err, perr)
}
