package hub_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

func (p *person) endedWith(want error) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended || !errors.Is(p.err, want) {
		p.t.Errorf("ended %v with %v, want %v", p.ended, p.err, want)
	}
}

func TestAnUnknownSessionIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()

		ann := w.joins(t, uuid.UUID{1}, hub.After{})
		ben := w.joins(t, uuid.UUID{1}, bare(0))
		wait(time.Second)

		ann.endedWith(hub.ErrNoSession)
		ben.endedWith(hub.ErrNoSession)
		if w.Rooms() != 0 || w.listens(uuid.UUID{1}) {
			t.Errorf("%d rooms, listens %v", w.Rooms(), w.listens(uuid.UUID{1}))
		}
	})
}

func TestADeletedSessionEndsItsClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		w.commits(plan, 2)
		wait(time.Second)

		w.send(plan, wire.AppendDeleted(nil, wire.Deleted{Session: plan, Epoch: 99})) // another incarnation
		wait(time.Second)
		if ann.ended {
			t.Error("ended by the deletion of another incarnation")
		}
		w.send(plan, wire.AppendDeleted(nil, wire.Deleted{Session: plan, Epoch: w.head(plan).Epoch}))
		w.forget(plan)
		wait(time.Second)
		late := w.joins(t, plan, hub.After{})
		wait(time.Second)

		ann.saw(1, 2)
		ann.endedWith(hub.ErrNoSession)
		late.endedWith(hub.ErrNoSession)
	})
}

func TestASessionThatVanishesEndsItsClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.forget(plan)
		wait(3 * time.Second)

		ann.endedWith(hub.ErrNoSession)
	})
}

func TestATornSessionEndsItsClientsAndTakesNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.torn[plan] = true })
		wait(time.Second)
		late := w.joins(t, plan, hub.After{})
		wait(time.Second)

		ann.endedWith(hub.ErrTorn)
		late.endedWith(hub.ErrTorn)
	})
}

func TestARoomOutlivesItsLastClientForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		ann.sub.Leave()
		wait(28 * time.Second)
		w.commits(plan, 3)
		wait(time.Second)

		if !w.listens(plan) {
			t.Error("the room is gone before its time")
		}
		before := w.readCount()
		ben := w.joins(t, plan, behind(w.position(plan, 0)))
		wait(time.Second)
		ben.saw(1, 3)
		if w.readCount() != before {
			t.Error("a warm room read the log")
		}
		ben.sub.Leave()
		wait(35 * time.Second)

		ann.endedWith(nil)
		ben.endedWith(nil)
		if w.Rooms() != 0 || w.listens(plan) {
			t.Errorf("%d rooms, listens %v", w.Rooms(), w.listens(plan))
		}
		if n := w.metric(t, "talus_subscriptions", "") + w.metric(t, "talus_rooms", ""); n != 0 {
			t.Errorf("gauges sum to %v", n)
		}
	})
}

func TestARoomStaysAsLongAsItHasAClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(5 * time.Minute)

		w.commits(plan, 2)
		wait(time.Second)

		ann.saw(1, 2)
	})
}

func TestLeavingStopsTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann, ben, cid := w.joins(t, plan, hub.After{}), w.joins(t, plan, hub.After{}), w.joins(t, plan, hub.After{})
		wait(time.Second)
		w.commits(plan, 1)
		wait(time.Second)

		ann.sub.Leave()
		ann.sub.Leave()
		wait(time.Second)
		w.commits(plan, 1)
		wait(time.Second)

		ann.saw(1, 1)
		ann.endedWith(nil)
		ben.saw(1, 2)
		cid.saw(1, 2)
	})
}

func TestLeavingBeforeTheAnswerWithdrawsTheJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		w.commits(plan, 1)

		ann := w.joins(t, plan, hub.After{})
		ann.sub.Leave()
		wait(time.Second)

		ann.endedWith(nil)
		if len(ann.starts) > 0 {
			t.Error("started after it left")
		}
	})
}

func TestTheRingIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingBytes: 10_000})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		for range 100 {
			w.commit(plan, 1000)
			wait(10 * time.Millisecond)
		}

		ann.saw(1, 100)
		bytes := 0
		for v := uint64(1); v <= 100; v++ {
			bytes += len(ann.ring.Frame(v))
		}
		if bytes == 0 || bytes > 10_000 {
			t.Errorf("the ring holds %d bytes", bytes)
		}
		if ann.ring.Frame(1) != nil || ann.ring.Frame(100) == nil || ann.ring.Frame(101) != nil {
			t.Error("the ring does not hold the newest frames")
		}
	})
}
