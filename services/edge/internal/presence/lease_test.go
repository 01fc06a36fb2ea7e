package presence_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

func TestTheClientsOfADeadEdgeAreAnnouncedGoneOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other := uuid.UUID{2}
		s := newStore(plan, other)
		dead := s.edge(t)
		dead.opens(plan).enters(3)
		dead.opens(other).enters(2)
		var rooms []*room
		for range 4 {
			e := s.edge(t)
			defer e.end()
			r := e.opens(plan)
			r.enters(1)
			rooms = append(rooms, r)
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(20 * time.Second)
		s.counts(t, plan, 7, rooms...)

		dead.isCut(true)
		defer dead.end()
		died := time.Now()
		for len(gone(s.announced(plan))) == 0 && time.Since(died) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		took := time.Since(died)
		time.Sleep(30 * time.Second)

		s.counts(t, plan, 4, rooms...)
		if g := gone(s.announced(plan)); len(g) != 1 || g[0].who.Client != uuid.Nil || took > 8*time.Second+200*time.Millisecond {
			t.Errorf("announced after %v: %+v", took, g)
		}
		if p := s.sessions[other]; p.total() != 2 || len(gone(p.told)) != 0 {
			t.Errorf("a session that nobody has open here was told %+v", p.told)
		}
		t.Logf("gone after %v", took)
	})
}

func TestAnEntryOfTheDeadGoesWithTheFirstWhoComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		s.sessions[plan].edges["buried long ago"], s.sessions[plan].seq = 5, 9
		e := s.edge(t)
		defer e.end()
		time.Sleep(time.Second)
		room := e.opens(plan)

		if n := room.enters(1); n != 1 {
			t.Errorf("the only client is told %d", n)
		}
		time.Sleep(time.Second)

		s.counts(t, plan, 1, room)
	})
}

func TestAPauseOfTheStoreBuriesNobody(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{3 * time.Second, 5 * time.Second, 7 * time.Second, 10 * time.Second, time.Minute} {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStore(plan)
				var rooms []*room
				for i := range 4 {
					e := s.edge(t)
					defer e.end()
					r := e.opens(plan)
					r.enters(2)
					rooms = append(rooms, r)
					time.Sleep(time.Duration(i) * 470 * time.Millisecond) // they renew at different times
				}
				time.Sleep(20 * time.Second)

				s.set(func() { s.paused = true })
				time.Sleep(pause)
				s.set(func() { s.paused = false })
				time.Sleep(30 * time.Second)

				s.counts(t, plan, 8, rooms...)
				if g := gone(s.announced(plan)); len(g) != 0 || len(s.leases) != 4 {
					t.Errorf("announced gone: %+v; leases %v", g, s.leases)
				}
			})
		})
	}
}

func TestAnEdgeThatWasTakenForDeadComesBackAsAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		a, b := s.edge(t), s.edge(t)
		defer b.end()
		defer a.end()
		ann, bob := a.opens(plan), b.opens(plan)
		ann.enters(3)
		bob.enters(1)
		time.Sleep(20 * time.Second)

		a.isCut(true)
		time.Sleep(15 * time.Second)
		s.counts(t, plan, 1, bob)
		ann.enters(1) // while nobody listens
		time.Sleep(5 * time.Second)
		a.isCut(false)
		time.Sleep(5 * time.Second)

		s.counts(t, plan, 5, ann, bob)
		if told := s.announced(plan); len(gone(told)) != 1 || told[len(told)-1].event != wire.SessionConnected {
			t.Errorf("announced %+v", told)
		}
		if len(s.leases) != 2 || len(s.sessions[plan].edges) != 2 {
			t.Errorf("leases %v, entries %v", s.leases, s.sessions[plan].edges)
		}
	})
}

func TestAListOfEdgesThatIsLostIsMadeAgainQuietly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		var rooms []*room
		for range 3 {
			e := s.edge(t)
			defer e.end()
			r := e.opens(plan)
			r.enters(2)
			rooms = append(rooms, r)
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(20 * time.Second)
		before := len(s.announced(plan))

		s.set(func() { clear(s.leases) })
		time.Sleep(30 * time.Second)

		s.counts(t, plan, 6, rooms...)
		if told := s.announced(plan); len(told) != before {
			t.Errorf("announced %+v", told[before:])
		}
		if len(s.leases) != 3 || len(s.sessions[plan].edges) != 3 {
			t.Errorf("leases %v, entries %v", s.leases, s.sessions[plan].edges)
		}
	})
}

func TestNothingIsWrittenBeforeTheLeaseIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		s.paused = true
		e := s.edge(t)
		defer e.end()
		r := &room{}
		r.Counter = e.Open(plan, func(n hub.News) { r.mu.Lock(); r.news = append(r.news, n); r.mu.Unlock() })

		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(r.news) != 1 || r.news[0].Who.Seq != 0 {
			t.Errorf("a store that is away tells %+v", r.news)
		}
		if n := r.enters(2); n != 2 {
			t.Errorf("told %d", n)
		}
		time.Sleep(10 * time.Second)
		s.counts(t, plan, 0)
		s.set(func() { s.paused = false })
		time.Sleep(3 * time.Second)

		s.counts(t, plan, 2, r)
		if _, counted := r.last(); counted < 2 {
			t.Errorf("%d know that they are counted", counted)
		}
	})
}

func TestAWriteThatComesLateIsPutRight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room := e.opens(plan)
		room.enters(3)
		time.Sleep(10 * time.Second)

		s.set(func() {
			for id := range s.sessions[plan].edges {
				s.sessions[plan].edges[id] = 1
			}
		})
		time.Sleep(7 * time.Second)

		s.counts(t, plan, 3, room)
	})
}

func TestAWriteWhoseAnswerIsLostIsMadeAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		defer e.end()
		room, ann := e.opens(plan), uuid.New()
		s.set(func() { e.link.dumb = true })
		room.Enter(ann)
		time.Sleep(time.Second)

		room.Leave(ann) // so that nothing seems to have changed
		room.Close()
		s.set(func() { e.link.dumb = false })
		time.Sleep(time.Second)

		s.counts(t, plan, 0)
	})
}

func TestAnEndWithoutAStoreDoesNotWaitLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(plan)
		e := s.edge(t)
		e.opens(plan).enters(1)
		time.Sleep(time.Second)
		s.set(func() { s.paused = true })

		began := time.Now()
		e.end()

		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
	})
}
