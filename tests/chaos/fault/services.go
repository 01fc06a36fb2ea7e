package fault

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/talus-tally/talus/tests/chaos/topology"
)

// drainLimit bounds the end of an instance after SIGTERM: TALUS_DRAIN of the run, and a little for the process.
const drainLimit = drain + 3*time.Second

// services are faults of the processes themselves.
func services() []Fault {
	return []Fault{
		{ID: "F1", Title: "edge killed", Hold: time.Second, Inject: onEdge(kill)},
		{ID: "F2", Title: "edge drained", Hold: 500 * time.Millisecond, Inject: onEdge(drained)},
		{ID: "F3", Title: "edge frozen", Hold: 6 * time.Second, Inject: onEdge(freeze)},
		{ID: "F4-kill", Title: "command killed under load", Hold: time.Second, Inject: onCommand(kill)},
		{ID: "F4-drain", Title: "command drained", Hold: 500 * time.Millisecond, Inject: onCommand(drained)},
		{ID: "F5", Title: "command frozen past the client's patience", Hold: requestTimeout + time.Second, Inject: onCommand(freeze)},
		{ID: "F20", Title: "all edges killed at once", Hold: time.Second, Inject: herd},
	}
}

// breaking is a fault of one instance.
type breaking func(s *Scene, i *topology.Instance) (Heal, error)

func onEdge(b breaking) func(context.Context, *Scene) (Heal, error) {
	return func(_ context.Context, s *Scene) (Heal, error) { return b(s, s.Edge()) }
}

func onCommand(b breaking) func(context.Context, *Scene) (Heal, error) {
	return func(_ context.Context, s *Scene) (Heal, error) { return b(s, s.Command()) }
}

func kill(_ *Scene, i *topology.Instance) (Heal, error) {
	i.Kill()
	return i.Restart, nil
}

func freeze(_ *Scene, i *topology.Instance) (Heal, error) {
	thaw := func(ctx context.Context) error { return errors.Join(i.Thaw(), i.Ready(ctx)) }
	return thaw, i.Freeze()
}

// drained wants the instance to end by itself in time, and well.
func drained(s *Scene, i *topology.Instance) (Heal, error) {
	took, code, err := i.Drain(drainLimit)
	if err != nil {
		s.Wrong("%s: %v after SIGTERM", i.Name, err)
		i.Kill()
	} else if code != 0 {
		s.Wrong("%s: exit code %d after SIGTERM", i.Name, code)
	}
	s.Note("%s drained in %v", i.Name, took.Round(time.Millisecond))
	return i.Restart, nil
}

// herd restarts all edges and counts what their return costs Redis.
func herd(ctx context.Context, s *Scene) (Heal, error) {
	for _, e := range s.System.Edges {
		e.Kill()
	}
	before, err := calls(ctx, s.System.Primary, "xrange")
	return func(ctx context.Context) error {
		var all sync.WaitGroup
		errs := make([]error, len(s.System.Edges))
		for n, e := range s.System.Edges {
			all.Go(func() { errs[n] = e.Restart(ctx) })
		}
		all.Wait()
		pause(ctx, returnTime)
		after, err := calls(ctx, s.System.Primary, "xrange")
		s.Note("%d reads of the log until all were back", after-before)
		return errors.Join(errors.Join(errs...), err)
	}, err
}
