package mutant

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/talus-tally/talus/tests/chaos/fault"
)

// moment is a loss of the last moment: the branch that remains soon has all versions again that the other one had.
func moment(title string, over func(ctx context.Context, s *fault.Scene, lose fault.Heal) error) fault.Fault {
	restored, err := fault.Choose("F11-restore")
	if err != nil {
		panic(err) // a mistake in this package
	}
	f := restored[0]
	lose := f.Inject
	f.ID, f.Title, f.Hold = "moment", title, 300*time.Millisecond
	f.Inject = func(ctx context.Context, s *fault.Scene) (fault.Heal, error) {
		heal, err := lose(ctx, s)
		return func(ctx context.Context) error { return over(ctx, s, heal) }, err
	}
	return f
}

// edgesAway restarts all edges around the loss: clients come back with what they had.
func edgesAway(ctx context.Context, s *fault.Scene, lose fault.Heal) error {
	for _, e := range s.System.Edges {
		e.Kill()
	}
	err := lose(ctx)
	wait(ctx, 2*time.Second)
	var all sync.WaitGroup
	errs := make([]error, len(s.System.Edges))
	for n, e := range s.System.Edges {
		all.Go(func() { errs[n] = e.Restart(ctx) })
	}
	all.Wait()
	return errors.Join(err, errors.Join(errs...))
}

// commandAway lets one of the command instances, which nobody can ask for a while, miss the loss and what comes after it.
func commandAway(ctx context.Context, s *fault.Scene, lose fault.Heal) error {
	away := s.Command().Front
	away.Cut()
	err := lose(ctx)
	wait(ctx, 4*time.Second)
	return errors.Join(err, away.Mend())
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
