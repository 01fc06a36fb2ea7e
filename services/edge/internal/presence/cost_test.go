package presence_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

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
