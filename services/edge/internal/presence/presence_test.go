package presence_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/services/edge/internal/presence"
)

// edge runs a presence over the store until the returned function is called.
func edge(t *testing.T, s *store) (*presence.Presence, func()) {
	t.Helper()
	p := presence.New(s, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return p, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func others(p *presence.Presence, session uuid.UUID) int {
	answer := make(chan int, 1)
	p.Others(session, func(n int) { answer <- n })
	return <-answer
}

func TestEachEdgeCountsItsOwnAndSeesTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan, s := uuid.UUID{1}, newStore()
		s.counts[plan] = map[string]int{}
		a, endA := edge(t, s)
		b, endB := edge(t, s)
		defer endB()

		for range 3 {
			a.Enter(plan)
		}
		if n := b.Enter(plan); n != 1 {
			t.Errorf("b has %d clients", n)
		}
		time.Sleep(time.Second)

		s.has(t, plan, 4)
		if n := others(a, plan); n != 1 {
			t.Errorf("a sees %d others, want 1", n)
		}
		if n := others(b, plan); n != 3 {
			t.Errorf("b sees %d others, want 3", n)
		}
		a.Leave(plan)
		time.Sleep(time.Second)
		s.has(t, plan, 3)
		endA()
		s.has(t, plan, 1)
		if n := others(a, plan); n != 0 {
			t.Errorf("after the end: %d", n)
		}
	})
}

func TestManyChangesAreOneWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan, s := uuid.UUID{1}, newStore()
		s.counts[plan] = map[string]int{}
		p, end := edge(t, s)
		defer end()
		time.Sleep(time.Second)

		answers := make(chan int, 200)
		for range 200 {
			p.Enter(plan)
			p.Others(plan, func(n int) { answers <- n })
		}
		time.Sleep(time.Second)

		s.has(t, plan, 200)
		if s.sets != 1 || s.asks != 1 || len(answers) != 200 {
			t.Errorf("%d writes, %d questions, %d answers; want 1, 1, 200", s.sets, s.asks, len(answers))
		}
	})
}

func TestAnEdgeThatLostItsLeaseCountsAgainUnderANewId(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan, s := uuid.UUID{1}, newStore()
		s.counts[plan] = map[string]int{}
		p, end := edge(t, s)
		defer end()
		p.Enter(plan)
		time.Sleep(time.Second)

		s.set(func() { s.down = true })
		p.Enter(plan)
		if n := others(p, plan); n != 0 {
			t.Errorf("a store that is away counts %d", n)
		}
		time.Sleep(10 * time.Second)
		s.has(t, plan, 0)
		s.set(func() { s.down = false })
		time.Sleep(5 * time.Second)

		s.has(t, plan, 2)
		if n := others(p, plan); n != 0 {
			t.Errorf("%d others, want none", n)
		}
		if len(s.counts[plan]) != 2 {
			t.Errorf("ids %v, want the dead one and a new one", s.counts[plan])
		}
	})
}

func TestNothingIsWrittenBeforeTheLeaseIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan, s := uuid.UUID{1}, newStore()
		s.counts[plan], s.down = map[string]int{}, true
		p, end := edge(t, s)
		defer end()

		p.Enter(plan)
		time.Sleep(3 * time.Second)
		if s.sets != 0 {
			t.Errorf("%d writes without a lease", s.sets)
		}
		s.set(func() { s.down = false })
		time.Sleep(3 * time.Second)

		s.has(t, plan, 1)
	})
}

func TestASessionThatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan, s := uuid.UUID{1}, newStore()
		p, end := edge(t, s)
		defer end()

		p.Enter(plan)
		time.Sleep(time.Second)
		p.Leave(plan)
		p.Leave(plan) // one too many counts as none
		time.Sleep(5 * time.Second)

		s.has(t, plan, 0)
		if s.sets != 2 {
			t.Errorf("%d writes, want 2", s.sets)
		}
	})
}
