package hub_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

func TestEveryClientSeesEveryCommitOnceInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann, ben := w.joins(t, plan, hub.After{}), w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.commits(plan, 50)
		wait(time.Second)

		ann.started(0, false, "")
		ann.saw(1, 50)
		ben.saw(1, 50)
	})
}

func TestALateJoinerStartsAtTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		w.commits(plan, 7)

		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		w.commits(plan, 3)
		wait(time.Second)

		if s := ann.started(7, false, ""); s.Position != w.position(plan, 7) {
			t.Errorf("joined at %v", s.Position)
		}
		ann.saw(8, 10)
	})
}

// The channel loses, repeats, delays and thereby reorders; the log has it all.
func TestNothingTheChannelDoesShowsInTheStream(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			w, end := start(t, hub.Config{RingFrames: 64, Chunk: 16})
			defer end()
			w.set(func(f *redis) {
				faults := rand.New(rand.NewPCG(seed, 4))
				f.fault = func() (int, time.Duration) { return faults.IntN(3), time.Duration(faults.IntN(40)) * time.Millisecond }
			})
			plan, other := w.create(1), w.create(2)
			ann, ben := w.joins(t, plan, hub.After{}), w.joins(t, other, hub.After{})
			wait(time.Second)
			for range 200 {
				w.commits(plan, 1+rng.IntN(3))
				w.commits(other, 1)
				wait(time.Duration(rng.IntN(20)) * time.Millisecond)
			}
			wait(3 * time.Second)

			ann.saw(1, w.head(plan).Version)
			ben.saw(1, 200)
		})
	}
}

func TestALostLastMessageIsFoundWithinASecond(t *testing.T) {
	t.Parallel()
	for offset := range 50 { // of the head check, after a message that was heard
		synctest.Test(t, func(t *testing.T) {
			w, end := start(t, hub.Config{})
			defer end()
			plan := w.create(1)
			ann := w.joins(t, plan, hub.After{})
			wait(time.Second + time.Duration(offset)*20*time.Millisecond)

			w.commits(plan, 1)
			wait(5 * time.Millisecond)
			w.set(func(f *redis) { f.deaf = true })
			w.commits(plan, 1)
			wait(time.Second)

			ann.saw(1, 2)
		})
	}
}

func TestAConfirmedSubscriptionReadsTheLogAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.deaf = true })
		w.commits(plan, 3)
		w.reconnect()
		wait(10 * time.Millisecond)

		ann.saw(1, 3)
	})
}

// A commit that is made while the room opens comes either with the head or after it.
func TestARoomThatOpensMissesNothing(t *testing.T) {
	t.Parallel()
	for offset := range 100 {
		synctest.Test(t, func(t *testing.T) {
			w, end := start(t, hub.Config{HeadCheck: time.Hour})
			defer end()
			plan := w.create(1)
			w.set(func(f *redis) {
				f.latency, f.fault = 4*time.Millisecond, func() (int, time.Duration) { return 1, 0 }
			})

			ann := w.joins(t, plan, hub.After{})
			wait(time.Duration(offset) * 100 * time.Microsecond)
			w.commits(plan, 1)
			wait(time.Second)

			ann.mu.Lock()
			from := ann.starts[0].Position.Version
			ann.mu.Unlock()
			ann.saw(from+1, 1)
		})
	}
}

func TestAFullInboxIsSettledFromTheLog(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		synctest.Test(t, func(t *testing.T) {
			w, end := start(t, hub.Config{InboxBytes: 4000, HeadCheck: time.Hour})
			defer end()
			plan := w.create(1)
			ann := w.joins(t, plan, hub.After{})
			wait(time.Second)

			w.set(func(f *redis) { f.latency, f.deaf = 50*time.Millisecond, true })
			w.commits(plan, 1)
			w.set(func(f *redis) { f.deaf = false })
			for range 100 + n { // the first is a gap: the room reads while the rest piles up
				w.commits(plan, 1)
				wait(time.Millisecond)
			}
			wait(time.Second)

			ann.saw(1, uint64(101+n))
			if w.metric(t, "talus_dropped_messages_total", "inbox_full") == 0 {
				t.Error("no message was dropped: the test shows nothing")
			}
		})
	}
}

// The first commit of a session falls between the two reads that look for it.
func TestAnEmptyLogThatGrowsIsNoHole(t *testing.T) {
	t.Parallel()
	for offset := range 30 {
		synctest.Test(t, func(t *testing.T) {
			w, end := start(t, hub.Config{HeadCheck: time.Hour})
			defer end()
			plan := w.create(1)
			ann := w.joins(t, plan, hub.After{})
			wait(time.Second)

			w.Message(plan, []byte("rubbish")) // makes the room read
			wait(time.Duration(offset) * 100 * time.Microsecond)
			w.commits(plan, 1)
			wait(time.Second)

			ann.started(0, false, "")
			ann.saw(1, 1)
		})
	}
}

func TestRoomsAreSeparate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		var people []*person
		var plans []uuid.UUID
		for i := range 40 {
			plans = append(plans, w.create(i+1))
			people = append(people, w.joins(t, plans[i], hub.After{}))
		}
		wait(time.Second)
		for i, plan := range plans {
			w.commits(plan, i)
		}
		wait(time.Second)
		for i, p := range people {
			p.saw(1, uint64(i))
		}
		if w.Rooms() != 40 {
			t.Errorf("%d rooms", w.Rooms())
		}
	})
}
