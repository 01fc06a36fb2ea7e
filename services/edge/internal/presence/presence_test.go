package presence_test

import (
	"slices"
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
		room.Leave(uuid.New()) // nothing has changed in sum
		time.Sleep(time.Second)

		want := []announcement{
			{wire.SessionConnected, wire.Presence{Client: ann, Count: 1, Seq: 1}},
			{wire.SessionConnected, wire.Presence{Count: 3, Seq: 2}},
			{wire.SessionDisconnected, wire.Presence{Client: ann, Count: 2, Seq: 3}},
			{wire.SessionConnected, wire.Presence{Count: 2, Seq: 4}},
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

func TestAWriteThatComesAfterItsRepeatAnnouncesNobodyAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room, ann := e.opens(plan), uuid.New()
		room.Enter(ann)
		room.enters(1)
		time.Sleep(time.Second)

		s.set(func() { e.link.slow = true })
		room.Leave(ann)
		time.Sleep(1100 * time.Millisecond) // it is given up for lost
		s.set(func() { e.link.slow = false })
		time.Sleep(time.Second) // and repeated
		room.enters(1)
		time.Sleep(time.Second)
		e.link.letsGo()
		time.Sleep(10 * time.Second)

		got := gone(s.announced(plan))
		if len(got) != 1 || got[0].who.Client != ann || len(s.announced(plan)) != 3 {
			t.Errorf("announced %+v, want that she went once", s.announced(plan))
		}
		s.counts(t, plan, 2, room)
	})
}

func TestWhoLeavesWhileItsEdgeIsTakenForDeadIsNotAnnouncedAsOneWhoComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		a, b := s.edge(t), s.edge(t)
		defer b.end()
		defer a.end()
		room, bob, ann := a.opens(plan), b.opens(plan), uuid.New()
		room.Enter(ann)
		room.enters(1)
		bob.enters(1)
		time.Sleep(20 * time.Second)

		a.isCut(true)
		time.Sleep(15 * time.Second)
		room.Leave(ann)
		a.isCut(false)
		time.Sleep(10 * time.Second)

		s.counts(t, plan, 2, room, bob)
		for _, told := range s.announced(plan)[2:] {
			if told.who.Client == ann {
				t.Errorf("announced %+v", told)
			}
		}
	})
}

// Who knows the others by name must hear of it: else one who came unheard could only be heard to go, for the second time.
func TestOneWhoComesInThePlaceOfAnotherIsAnnouncedAsSeveral(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room, ann := e.opens(plan), uuid.New()
		room.Enter(ann)
		room.enters(2)
		time.Sleep(time.Second)

		room.Leave(ann)
		time.Sleep(time.Second)
		room.Leave(uuid.New())
		room.Enter(ann)
		time.Sleep(time.Second)
		room.Leave(ann)
		time.Sleep(time.Second)

		want := []announcement{
			{wire.SessionConnected, wire.Presence{Count: 3, Seq: 1}},
			{wire.SessionDisconnected, wire.Presence{Client: ann, Count: 2, Seq: 2}},
			{wire.SessionConnected, wire.Presence{Count: 2, Seq: 3}},
			{wire.SessionDisconnected, wire.Presence{Client: ann, Count: 1, Seq: 4}},
		}
		if got := s.announced(plan); !slices.Equal(got, want) {
			t.Errorf("announced %+v, want %+v", got, want)
		}
	})
}

func TestOneWhoComesAfterTheStoreWentBackIsAnnounced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room := e.opens(plan)
		room.enters(2)
		time.Sleep(time.Second)

		s.set(func() {
			for edge := range s.sessions[plan].edges {
				s.sessions[plan].edges[edge]++ // as it was before somebody left
			}
		})
		room.Enter(uuid.New())
		time.Sleep(time.Second)

		got := s.announced(plan)
		if n := len(got); n != 2 || got[1].who.Count != 3 || got[1].who.Client != uuid.Nil {
			t.Errorf("announced %+v, want that several came or went", got)
		}
	})
}

func TestNobodyWhoComesIsNamedAsLeavingAfterTheStoreWentBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room, ann := e.opens(plan), uuid.New()
		room.enters(2)
		time.Sleep(time.Second)

		back := func(by int) {
			s.set(func() {
				for edge := range s.sessions[plan].edges {
					s.sessions[plan].edges[edge] += by
				}
			})
		}
		back(+2) // as it was before two left
		room.Enter(ann)
		time.Sleep(time.Second)
		back(-2) // as it was before two came
		room.Leave(ann)
		time.Sleep(time.Second)

		want := []announcement{
			{wire.SessionConnected, wire.Presence{Count: 2, Seq: 1}},
			{wire.SessionDisconnected, wire.Presence{Count: 3, Seq: 2}},
			{wire.SessionConnected, wire.Presence{Count: 2, Seq: 3}},
		}
		if got := s.announced(plan); !slices.Equal(got, want) {
			t.Errorf("announced %+v, want %+v", got, want)
		}
	})
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
