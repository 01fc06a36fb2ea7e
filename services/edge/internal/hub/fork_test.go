package hub_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// A fail-over loses commits that clients have seen; the survivor goes on with others of the same numbers.
func TestABranchThatDidNotSurviveIsNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		lost, regrown int
		deaf          bool // the new commits are not heard: only the head check can tell
	}{
		{"shorter", 3, 1, false},
		{"as long", 3, 3, false},
		{"longer", 3, 5, false},
		{"nothing new yet", 3, 0, false},
		{"back to the beginning", 10, 2, false},
		{"shorter and unheard", 3, 1, true},
		{"as long and unheard", 3, 3, true},
		{"longer and unheard", 3, 5, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, end := start(t, hub.Config{})
				defer end()
				plan := w.create(1)
				ann := w.joins(t, plan, hub.After{})
				wait(time.Second)
				w.commits(plan, 10)
				wait(time.Second)
				dead := w.head(plan)

				w.set(func(f *redis) { f.deaf = c.deaf })
				w.rollback(plan, uint64(10-c.lost))
				w.commits(plan, c.regrown)
				wait(3 * time.Second)
				head := w.head(plan)
				if s := ann.started(head.Version, false, hub.Fork); s.Position != head {
					t.Errorf("sent to %v, want %v", s.Position, head)
				}
				ben := w.joins(t, plan, behind(dead))
				wait(time.Second)
				w.set(func(f *redis) { f.deaf = false })
				w.commits(plan, 2)
				wait(time.Second)

				if reason := ben.started(head.Version, false, want(dead.Version > head.Version)).Reason; reason == "" {
					t.Error("resumed on a dead branch")
				}
				if ann.seen[len(ann.seen)-1] != head.Version+2 {
					t.Errorf("saw %v", ann.seen)
				}
				ben.saw(head.Version+1, head.Version+2)
			})
		})
	}
}

func want(ahead bool) hub.Reason {
	if ahead {
		return hub.Ahead
	}
	return hub.Fork
}

func TestAnotherIncarnationOfTheIdIsAResync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		w.commits(plan, 3)
		wait(time.Second)

		w.set(func(f *redis) { f.sessions[plan].at.Epoch++; f.sessions[plan].recs = nil })
		wait(3 * time.Second)

		ann.started(3, false, hub.Epoch)
	})
}

func TestALogTrimmedAboveTheRoomIsAResync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.deaf = true })
		w.commits(plan, 100)
		w.trim(plan, 60)
		w.reconnect()
		wait(time.Second)
		ann.started(100, false, hub.Trimmed)
		w.set(func(f *redis) { f.deaf = false })
		w.commits(plan, 1)
		wait(time.Second)

		ann.saw(101, 101)
	})
}

// The room is on the dead branch while a client asks for old commits: it must not get a mixture of both.
func TestARefillDuringAForkGivesOneBranchOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingFrames: 64, HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		ann.mu.Lock()
		ann.paused = true
		ann.mu.Unlock()
		w.commits(plan, 300)
		wait(time.Second)

		w.set(func(f *redis) { f.deaf = true })
		w.rollback(plan, 100)
		w.commits(plan, 50)
		ann.pause(false) // falls off the ring and asks: version 1…100 are on both branches, 101… are not
		wait(5 * time.Second)

		ann.started(150, false, hub.Fork)
		ann.saw(1, 0)
	})
}
