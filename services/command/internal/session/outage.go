package session

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of calls that were not even tried. They wrap ErrUnavailable.
var (
	errAway    = errors.New("the event log did not answer lately")
	errCrowded = errors.New("too many calls are in progress")
)

// gate bounds what waits for the event log. A log that is not there refuses by
// itself and at once; one that does not answer would gather callers, each for as long
// as its deadline. After some calls in a row have waited in vain, the others are
// refused at once, and one now and then finds out whether the log is back.
type gate struct {
	limit int           // calls in progress
	slow  time.Duration // a failure that took so long was waited for in vain

	calls atomic.Int64

	mu       sync.Mutex
	vain     int       // calls in a row that waited in vain
	answered time.Time // when the last call ended that did not
	trials   time.Time // when the next call may try although the log is away
}

const (
	vainAway   = 3                      // calls in a row
	trialEvery = 100 * time.Millisecond // while the log is away
)

// pass calls fn unless it would have to wait for nothing. The error of a call that
// was not made wraps ErrUnavailable.
func (g *gate) pass(fn func() error) error {
	defer g.calls.Add(-1)
	if g.calls.Add(1) > int64(g.limit) {
		return unavailable(errCrowded)
	}
	began := time.Now()
	if !g.admits(began) {
		return unavailable(errAway)
	}
	err := fn()
	g.note(err, began, time.Now())
	return err
}

func (g *gate) admits(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.vain < vainAway {
		return true
	}
	if now.Before(g.trials) {
		return false
	}
	g.trials = now.Add(trialEvery)
	return true
}

// note takes the end of a call into account. One that waited in vain, perhaps only for
// a busy session, says nothing of the log if another was answered meanwhile.
func (g *gate) note(err error, began, ended time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !errors.Is(err, ErrUnavailable) || ended.Sub(began) < g.slow:
		g.vain, g.answered = 0, ended
	case !g.answered.After(began):
		g.vain++
	}
}

// away reports whether calls are refused without a try.
func (g *gate) away() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.vain >= vainAway
}
