// Package fault breaks a running system on purpose, while people use it, and says what came of it: the faults F1–F24 of
// the reliability page, each with how it is brought about, how it ends, and what it may cost.
//
// It promises that a run is repeatable as far as real processes allow (everything that is drawn comes from the seed),
// that the beginning and the end of each fault stand in the history, with every loss of data that it caused, and that
// nothing which it started is left when Run returns. What must hold in spite of the faults is for package check to say;
// this package adds only what no client can see: processes that must live or end, and what they use meanwhile.
package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/chaos/topology"
)

// Fault is one way to break a system.
type Fault struct {
	ID     string // "F6-everysec": the number of the list, and a variant
	Title  string
	Shape  topology.Shape // what it needs, as far as that is not the default
	Hold   time.Duration  // for how long it lasts at least; it is drawn up to twice as long
	Loses  bool           // Redis may lose acknowledged commits; then their loss must be detected
	Erases bool           // the sessions that it hits are gone afterwards: their clients must be sent away
	Keeps  bool           // no client may lose its connection
	Aims   int            // at so many sessions; 0: at all
	Needs  func() string  // what is missing on this machine, if anything

	LogEvery time.Duration // so often the logs must be read for the checker, because they are cut; 0: the workload's default

	// Inject brings the fault about and returns what ends it. It is not called again before that has been done.
	Inject func(ctx context.Context, s *Scene) (Heal, error)
}

// Heal ends a fault. The system must then be whole: every process runs and is ready.
type Heal func(ctx context.Context) error

// Scene is where a fault happens.
type Scene struct {
	System   *topology.System
	Sessions []string      // of the run
	Aimed    []string      // those that the fault is to hit
	Hold     time.Duration // for how long it is to last
	Rng      *rand.Rand

	recorder *history.Recorder
	mu       sync.Mutex
	wrong    []string
	notes    []string
}

// Lost puts into the history that Redis has just lost data of some sessions, or of all.
func (s *Scene) Lost(what string, sessions ...string) {
	s.recorder.Mark(history.Loss, what, sessions...)
}

// Wrong notes something that must not be and that no client can see.
func (s *Scene) Wrong(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// Note notes a figure or an observation for the report.
func (s *Scene) Note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// Edge draws an edge, Command a command instance.
func (s *Scene) Edge() *topology.Instance { return draw(s.Rng, s.System.Edges) }

// Command draws a command instance.
func (s *Scene) Command() *topology.Instance { return draw(s.Rng, s.System.Commands) }

func draw[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// some draws n different ones.
func some[T any](rng *rand.Rand, n int, from []T) []T {
	drawn := slices.Clone(from)
	rng.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return drawn[:min(n, len(drawn))]
}

// every does something again and again until the returned function is called, which waits for the last time to end.
func every(interval time.Duration, do func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(ctx, interval) {
			do(ctx)
		}
	}()
	return func() { cancel(); <-done }
}

// pause waits; it reports false if the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// All is the whole list, in its order.
func All() []Fault {
	return slices.Concat(services(), redisAway(), redisRefuses(), redisLoses(), network(), feeds(), requests(), clients())
}

// Smoke are the faults of a short run: one of each kind.
func Smoke() []string {
	return []string{"F1", "F4-kill", "F6-always", "F7-frozen", "F9-edge", "F10-kill"}
}

// Long are the faults of a run that takes long for each: one or two of each kind.
func Long() []string {
	return []string{
		"F1", "F2", "F3", "F4-kill", "F5", "F6-always", "F7-frozen", "F8", "F9-half", "F10-kill", "F11-restore", "F12-scripts", "F13-narrow",
		"F14-latency", "F18", "F20", "F23", "F24-disk",
	}
}

// Choose picks faults: "smoke", "long", "all", or names with commas; "F6" means all its variants.
func Choose(names string) ([]Fault, error) {
	all := All()
	if names == "all" {
		return all, nil
	}
	wanted := strings.Split(names, ",")
	switch names {
	case "smoke":
		wanted = Smoke()
	case "long":
		wanted = Long()
	}
	var chosen []Fault
	for _, name := range wanted {
		before := len(chosen)
		for _, f := range all {
			if f.ID == name || strings.HasPrefix(f.ID, name+"-") {
				chosen = append(chosen, f)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("there is no fault %q", name)
		}
	}
	return chosen, nil
}
