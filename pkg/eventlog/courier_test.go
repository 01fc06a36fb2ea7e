package eventlog_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
)

// lock is a hook that holds scripts back until it is opened, and notes how many went together.
type lock struct {
	open chan struct{}
	held chan struct{} // told of each round trip that is held

	mu    sync.Mutex
	sizes []int
}

func (l *lock) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *lock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		l.hold(cmd)
		return next(ctx, cmd)
	}
}

func (l *lock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		l.hold(cmds...)
		return next(ctx, cmds)
	}
}

func (l *lock) hold(cmds ...redis.Cmder) {
	if cmds[0].Name() != "evalsha" {
		return
	}
	l.mu.Lock()
	l.sizes = append(l.sizes, len(cmds))
	l.mu.Unlock()
	select {
	case l.held <- struct{}{}:
	default:
	}
	<-l.open
}

// locked is a log whose commits are held back, with writers of as many sessions, the first two of which are on their way.
func locked(t *testing.T, sessions int) (*lock, []*eventlogtest.Writer, func(ctx context.Context, w *eventlogtest.Writer) <-chan error) {
	t.Helper()
	rdb := connects(t, redistest.URL(t))
	log := eventlog.New(rdb, eventlog.Config{})
	writers := make([]*eventlogtest.Writer, sessions)
	for i := range writers {
		writers[i] = eventlogtest.Creates(t, log)
	}
	l := &lock{open: make(chan struct{}), held: make(chan struct{}, 2)}
	rdb.AddHook(l)
	commit := func(ctx context.Context, w *eventlogtest.Writer) <-chan error {
		ended := make(chan error, 1)
		go func() {
			_, err := log.Commit(ctx, w.Decides(eventlogtest.Image(1, "one")))
			ended <- err
		}()
		return ended
	}
	return l, writers, commit
}

func TestWhatComesWhileRoundTripsAreUnderWayTravelsTogether(t *testing.T) {
	t.Parallel()
	l, writers, commit := locked(t, 20)
	var ended []<-chan error
	for i, w := range writers {
		ended = append(ended, commit(t.Context(), w))
		if i < 2 {
			<-l.held
		}
	}
	eventlogtest.Eventually(t, "all others wait", func() bool { return writers[0].Log.Waiting() == 18 })

	close(l.open)

	for _, err := range ended {
		if err := <-err; err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(l.sizes, []int{1, 1, 18}) {
		t.Errorf("round trips of %v scripts", l.sizes)
	}
	for _, w := range writers {
		if head, err := w.Log.Head(t.Context(), w.Session); err != nil || head.Position.Version != 1 {
			t.Errorf("session %s at %v, %v", w.Session, head.Position, err)
		}
	}
}

func TestWhoGivesUpBeforeItsRoundTripHasCommittedNothing(t *testing.T) {
	t.Parallel()
	l, writers, commit := locked(t, 4)
	first, second := commit(t.Context(), writers[0]), commit(t.Context(), writers[1])
	<-l.held
	<-l.held
	ctx, cancel := context.WithCancel(t.Context())
	given := commit(ctx, writers[2])
	eventlogtest.Eventually(t, "it waits", func() bool { return writers[0].Log.Waiting() == 1 })
	kept := commit(t.Context(), writers[3])
	eventlogtest.Eventually(t, "two wait", func() bool { return writers[0].Log.Waiting() == 2 })

	cancel()
	err := <-given
	close(l.open)

	if !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("who gave up was told %v", err)
	}
	for _, err := range []error{<-first, <-second, <-kept} {
		if err != nil {
			t.Error(err)
		}
	}
	if head, err := writers[2].Log.Head(t.Context(), writers[2].Session); err != nil || head.Position.Version != 0 {
		t.Errorf("it is at %v, %v", head.Position, err)
	}
}

// Callers come and give up at any moment; what each is told is true.
func TestNobodyIsToldOfTheRoundTripOfAnother(t *testing.T) {
	t.Parallel()
	log := eventlog.New(connects(t, redistest.URL(t)), eventlog.Config{})
	var all sync.WaitGroup
	for range 32 {
		w := eventlogtest.Creates(t, log)
		all.Go(func() {
			for i := range 50 {
				c := w.Decides(eventlogtest.Image(i, "one"))
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(3000))*time.Microsecond)
				_, err := log.Commit(ctx, c)
				cancel()
				head, lookErr := log.Head(t.Context(), w.Session)
				switch made := head.Position == c.Record.Position(); {
				case lookErr != nil:
					t.Error(lookErr)
				case err == nil && !made, err != nil && !errors.Is(err, eventlog.ErrUnknown) && made:
					t.Errorf("told %v, head at %v, want %v", err, head.Position, c.Record.Position())
				case made:
					w.Took(c)
				case errors.Is(err, eventlog.ErrUnknown): // it may still arrive
					return
				}
			}
		})
	}
	all.Wait()
}
