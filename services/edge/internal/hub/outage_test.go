package hub_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

func TestAJoinIsRefusedSoonWhenRedisIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		w.set(func(f *redis) { f.down = true })

		ann := w.joins(t, plan, hub.After{})
		wait(1500 * time.Millisecond)
		ann.endedWith(hub.ErrUnavailable)
		ben := w.joins(t, plan, hub.After{})
		wait(0)
		ben.endedWith(hub.ErrUnavailable)
		w.set(func(f *redis) { f.down = false })
		wait(time.Second)
		w.commits(plan, 1)
		wait(time.Second)
		cid := w.joins(t, plan, hub.After{})
		wait(time.Second)

		cid.started(1, false, "")
	})
}

// The channel confirms nothing, but the log can be read: a join must wait for the channel, not start beside it.
func TestAReadableLogDoesNotOpenARoomThatIsNotOnItsChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		w.set(func(f *redis) { f.confirm = 5 * time.Second })

		ann := w.joins(t, plan, hub.After{})
		wait(4 * time.Second)
		if len(ann.starts) > 0 || ann.ended {
			t.Errorf("started %v, ended %v before the channel was confirmed", ann.starts, ann.err)
		}
		w.commits(plan, 3)
		wait(2 * time.Second)

		ann.started(3, false, "")
	})
}

const (
	stale = `"status":"stale"`
	live  = `"status":"live"`
)

// heard checks the status frames that the client got, in order, and the versions they found.
func (p *person) heard(status []string, at []uint64) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	ok := len(p.events) == len(status) && slices.Equal(p.eventsAt, at)
	for i := range min(len(p.events), len(status)) {
		ok = ok && strings.Contains(p.events[i], status[i]) && strings.Contains(p.events[i], p.session.String())
	}
	if !ok || p.ended {
		p.t.Errorf("heard %q at %v (ended %v: %v), want %v at %v", p.events, p.eventsAt, p.ended, p.err, status, at)
	}
}

func TestAnOutageIsToldOnceAndEndsVerified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		slow := w.joins(t, plan, hub.After{})
		wait(time.Second)
		w.commits(plan, 2)
		wait(time.Second)

		w.set(func(f *redis) { f.down, f.deaf = true, true })
		w.commits(plan, 3) // by writers that still reach it
		wait(1500 * time.Millisecond)
		ann.heard([]string{stale}, []uint64{2})
		if n := w.metric(t, "talus_stale_rooms", ""); n != 1 {
			t.Errorf("%v stale rooms", n)
		}
		late := w.joins(t, plan, behind(w.position(plan, 1)))
		wait(time.Minute)
		w.set(func(f *redis) { f.down, f.deaf = false, false })
		wait(200 * time.Millisecond)
		w.commits(plan, 1)
		wait(time.Second)

		late.endedWith(hub.ErrUnavailable)
		ann.saw(1, 6)
		ann.heard([]string{stale, live}, []uint64{2, 5})
		if text := string(payload(t, []byte(latest(slow.sub, [hub.Topics]uint64{})))); !strings.Contains(text, live) {
			t.Errorf("a client that comes late finds %s", text)
		}
		if n := w.metric(t, "talus_stale_rooms", ""); n != 0 {
			t.Errorf("%v stale rooms", n)
		}
	})
}

// What was lost with the outage is told before the room is live again.
func TestAnOutageThatLosesCommitsEndsWithAResync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		w.commits(plan, 9)
		wait(time.Second)

		w.set(func(f *redis) { f.down = true })
		wait(5 * time.Second)
		w.rollback(plan, 6)
		w.set(func(f *redis) { f.down = false })
		wait(time.Second)

		ann.started(6, false, hub.Fork)
		ann.heard([]string{stale, live}, []uint64{9, 6})
	})
}

func TestAllRoomsAreVerifiedInBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rooms = 1200
		w, end := start(t, hub.Config{})
		defer end()
		people := make([]*person, rooms)
		for i := range people {
			people[i] = w.joins(t, w.create(i+1), hub.After{})
		}
		wait(2 * time.Second)

		w.set(func(f *redis) { f.down = true })
		wait(2 * time.Second)
		w.set(func(f *redis) { f.down, f.heads = false, 0 })
		began := time.Now()
		wait(150 * time.Millisecond)

		for _, p := range people {
			p.heard([]string{stale, live}, []uint64{0, 0})
		}
		w.set(func(f *redis) {
			if f.heads > 4 {
				t.Errorf("%d reads of heads for %d rooms", f.heads, rooms)
			}
		})
		t.Logf("%d rooms were live again %v after the log could be read", rooms, time.Since(began))
	})
}

func TestALostSessionIsNotMistakenForADeletedOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		lost, deleted := w.create(1), w.create(2)
		ann, ben := w.joins(t, lost, hub.After{}), w.joins(t, deleted, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.deleted[deleted] = true })
		w.forget(lost)
		w.forget(deleted)
		wait(2 * time.Second)

		ann.endedWith(hub.ErrLost)
		ben.endedWith(hub.ErrNoSession)
		if errors.Is(ben.err, hub.ErrLost) {
			t.Error("a deleted session counts as lost")
		}
		if n := w.metric(t, "talus_sessions_lost_total", ""); n != 1 {
			t.Errorf("%v lost sessions", n)
		}
	})
}

func TestARoomCatchesUpWhenTheLogIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.down, f.deaf = true, true })
		w.commits(plan, 700)
		w.reconnect()
		wait(5 * time.Second)
		ann.saw(1, 0)
		w.set(func(f *redis) { f.down = false })
		wait(2 * time.Second)

		ann.saw(1, 700)
	})
}

func TestAHubThatHasEndedRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		plan := w.create(1)
		w.joins(t, plan, hub.After{})
		wait(time.Second)
		end()

		ann := w.joins(t, plan, hub.After{})
		ben := w.joins(t, uuid.UUID{9}, hub.After{})
		w.commits(plan, 1)
		wait(time.Second)

		ann.endedWith(hub.ErrUnavailable)
		ben.endedWith(hub.ErrUnavailable)
	})
}
