package presence_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
)

var plan = uuid.UUID{1}

// bubble runs a test in a bubble of its own.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

func TestEachEdgeCountsItsOwnAndKnowsTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		a, b := s.edge(t), s.edge(t)
		defer b.end()
		defer a.end()
		ann, bob := a.opens(plan), b.opens(plan)

		if n := ann.enters(3); n != 3 {
			t.Errorf("the third is told %d", n)
		}
		time.Sleep(time.Second)
		if n := bob.enters(1); n != 4 {
			t.Errorf("the fourth is told %d", n)
		}
		time.Sleep(time.Second)

		s.counts(t, plan, 4, ann, bob)
		if _, counted := ann.last(); counted < 3 {
			t.Errorf("%d clients of the first edge know that they are counted", counted)
		}
	})
}

func TestOneWhoComesOrGoesAloneIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room, ann := e.opens(plan), uuid.New()
		time.Sleep(time.Second)

		room.Enter(ann)
		time.Sleep(time.Second)
		room.enters(2)
		time.Sleep(time.Second)
		room.Leave(ann)
		time.Sleep(time.Second)
		room.Enter(uuid.New())
		room.Leave(ann) // nothing has changed in sum
		time.Sleep(time.Second)

		want := []announcement{
			{wire.SessionConnected, wire.Presence{Client: ann, Count: 1, Seq: 1}},
			{wire.SessionConnected, wire.Presence{Count: 3, Seq: 2}},
			{wire.SessionDisconnected, wire.Presence{Client: ann, Count: 2, Seq: 3}},
		}
		got := s.announced(plan)
		if len(got) != len(want) {
			t.Fatalf("announced %+v", got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("announced %+v, want %+v", got[i], want[i])
			}
		}
		if _, counted := room.last(); counted != 4 {
			t.Errorf("%d clients know that they are counted, want all 4", counted)
		}
	})
}

func TestJoinsAtOnceAreMergedAndCostNoMoreThanTheRule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		edges := []*edge{s.edge(t), s.edge(t)}
		rooms := []*room{edges[0].opens(plan), edges[1].opens(plan)}
		defer edges[1].end()
		defer edges[0].end()
		time.Sleep(time.Second)
		s.set(func() { s.calls, s.items = 0, 0 })

		const clients, each = 500, time.Millisecond // 1,000 on two edges within half a second
		for range clients {
			for _, r := range rooms {
				r.enters(1)
			}
			time.Sleep(each)
		}
		time.Sleep(10 * time.Second)

		s.counts(t, plan, 2*clients, rooms...)
		frames, worst := 0, uint64(0)
		for _, a := range s.announced(plan) {
			frames += int(a.who.Count)
			worst++
		}
		// Half a second of joining, 1 s until the last interval that began in it is over, and one more for each edge.
		if limit := 2*2_000 + 2*2*clients; frames > limit {
			t.Errorf("%d announcements are %d frames, want at most %d", worst, frames, limit)
		}
		t.Logf("%d joins: %d announcements, %d frames in all, %.1f for each client (n² would be %d)",
			2*clients, worst, frames, float64(frames)/(2*clients), 2*clients*2*clients)
	})
}

func TestTheCostGrowsWithSessionsAndNotWithClients(t *testing.T) {
	cost := func(t *testing.T, sessions, clients int) (items int) {
		var ids []uuid.UUID
		for i := range sessions {
			ids = append(ids, uuid.UUID{byte(i >> 8), byte(i), 15: byte(i)})
		}
		synctest.Test(t, func(t *testing.T) {
			s := newStore(ids...)
			e := s.edge(t)
			defer e.end()
			for _, id := range ids {
				e.opens(id).enters(clients)
			}
			time.Sleep(10 * time.Second)
			s.set(func() { s.calls, s.items = 0, 0 })
			time.Sleep(60 * time.Second)
			s.set(func() { items = s.items })
		})
		return items
	}

	few, many, more := cost(t, 30, 1), cost(t, 30, 1000), cost(t, 60, 1)

	t.Logf("commands per minute and edge: %d for 30 sessions of 1 client, %d of 1,000 clients; %d for 60 sessions", few, many, more)
	if few != many || more > 2*few || many > 30+30*60/6+30 {
		t.Error("the cost is not that of the sessions")
	}
}

func TestAnAnnouncementThatTheChannelLosesIsFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		s.deaf = true
		a, b := s.edge(t), s.edge(t)
		defer b.end()
		defer a.end()
		ann, bob := a.opens(plan), b.opens(plan)

		ann.enters(2)
		time.Sleep(7 * time.Second)
		s.counts(t, plan, 2, ann, bob)
		ann.Leave(uuid.New())
		time.Sleep(7 * time.Second)

		s.counts(t, plan, 1, ann, bob)
		bob.mu.Lock()
		defer bob.mu.Unlock()
		if n := bob.news[len(bob.news)-1]; n.Event != wire.SessionDisconnected || n.Who.Count != 1 {
			t.Errorf("told %+v", n)
		}
	})
}

func TestAnOldAnnouncementChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room := e.opens(plan)
		room.enters(2)
		time.Sleep(time.Second)

		room.Heard(wire.Presence{Count: 9, Seq: 1})
		room.Heard(wire.Presence{Count: 7, Seq: 0})

		s.counts(t, plan, 2, room)
	})
}

func TestWhatIsHeardDuringAWriteIsNotCountedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		a, b := s.edge(t), s.edge(t)
		defer b.end()
		defer a.end()
		ann, bob := a.opens(plan), b.opens(plan)
		time.Sleep(time.Second)

		wrong := 0
		for i := range 300 { // joins fall into every moment of the writes
			room := []*room{ann, bob}[i%2]
			if n := room.enters(1); n > i+1 {
				wrong++
			}
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(10 * time.Second)

		s.counts(t, plan, 300, ann, bob)
		if wrong > 0 {
			t.Errorf("%d clients were told of more clients than there were", wrong)
		}
	})
}

func TestASessionThatIsGoneIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore()
		e := s.edge(t)
		defer e.end()
		room := e.opens(plan)

		room.enters(1)
		time.Sleep(time.Second)
		room.Close()
		time.Sleep(time.Second)
		s.set(func() { s.items = 0 })
		time.Sleep(time.Minute)

		s.set(func() {
			if s.items > 31 {
				t.Errorf("%d commands in a minute, want the lease's only", s.items)
			}
		})
	})
}

func TestARoomThatClosesTakesItsClientsAlong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		old := e.opens(plan)
		old.enters(3)
		time.Sleep(time.Second)

		next := e.opens(plan) // the session's new room comes before the old one is done
		next.enters(1)
		old.Close()
		time.Sleep(time.Second)

		s.counts(t, plan, 1, next)
		next.Close()
		time.Sleep(time.Second)
		s.counts(t, plan, 0)
	})
}

func TestAnEdgeThatEndsTakesItsClientsOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		a, b := s.edge(t), s.edge(t)
		defer b.end()
		ann, bob := a.opens(plan), b.opens(plan)
		ann.enters(3)
		bob.enters(1)
		time.Sleep(time.Second)

		a.end()

		s.counts(t, plan, 1, bob)
		if len(s.leases) != 1 {
			t.Errorf("leases are left: %v", s.leases)
		}
		late := a.opens(plan)
		if len(late.news) != 1 || late.news[0].Who.Seq != 0 {
			t.Errorf("after the end a session is told %+v", late.news)
		}
	})
}
