package hub_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
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

func TestALostLastMessageIsFoundByTheHeadCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.deaf = true })
		w.commits(plan, 3)
		wait(2100 * time.Millisecond)

		ann.saw(1, 3)
	})
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

func TestAMessageOfAnotherSessionNeverReachesARoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan, secret := w.create(1), w.create(2)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		rec := w.commit(secret, 40)

		w.Message(plan, rec.Raw)
		w.Message(plan, wire.AppendEphemeral(nil, wire.Ephemeral{Session: secret, Name: wire.ProjectSaved}))
		w.Message(plan, wire.AppendDeleted(nil, wire.Deleted{Session: secret, Epoch: 1001}))
		w.Message(plan, []byte("rubbish"))
		w.commits(plan, 1)
		wait(time.Second)

		ann.saw(1, 1)
		if len(ann.events) > 0 || ann.ended {
			t.Errorf("events %v, ended %v", ann.events, ann.ended)
		}
		if n := w.metric(t, "talus_dropped_messages_total", "isolation"); n != 3 {
			t.Errorf("%v isolation drops, want 3", n)
		}
	})
}

func TestAnEventWithoutVersionComesAfterTheCommitsBeforeIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.deaf = true })
		rec := w.commit(plan, 40)
		saved := wire.AppendEphemeral(nil, wire.Ephemeral{
			Session: plan, Name: wire.ProjectSaved, Fields: []byte(`"saved_version":1`),
		})
		w.Message(plan, saved)
		w.Message(plan, rec.Raw)
		w.Message(plan, saved)
		wait(time.Second)

		ann.saw(1, 1)
		if len(ann.events) != 2 || !strings.Contains(ann.events[1], `"event":"project:saved","data":{"saved_version":1}`) {
			t.Fatalf("events %q", ann.events)
		}
		if !slices.Equal(ann.eventsAt, []uint64{0, 1}) {
			t.Errorf("the events came at versions %v, want 0 and 1", ann.eventsAt)
		}
	})
}

func TestACommitTooLargeToPublishIsReadFromTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.commit(plan, 40)
		w.commit(plan, 100_000)
		w.commit(plan, 40)
		wait(time.Second)

		ann.saw(1, 3)
	})
}

func TestARecordTooLargeToSendIsAResync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.commit(plan, 1<<20+1)
		wait(time.Second)
		ann.started(1, false, hub.Large)
		w.commits(plan, 2)
		wait(time.Second)
		late := w.joins(t, plan, behind(w.position(plan, 0)))
		wait(time.Second)

		ann.saw(2, 3)
		late.started(3, false, hub.Large)
	})
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
