package presence_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/edge/internal/presence"
)

var errDown = errors.New("the fake store is down")

// store behaves like the leases and counts in Redis.
type store struct {
	mu     sync.Mutex
	down   bool
	leases map[string]time.Time
	buried map[string]bool
	counts map[uuid.UUID]map[string]int
	sets   int
	asks   int
}

func newStore() *store {
	return &store{leases: map[string]time.Time{}, buried: map[string]bool{}, counts: map[uuid.UUID]map[string]int{}}
}

func (s *store) RenewLease(_ context.Context, edge string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, known := s.leases[edge]
	switch {
	case s.down:
		return errDown
	case s.buried[edge], known && time.Now().After(end):
		s.buried[edge] = true
		return eventlog.ErrLeaseLost
	}
	s.leases[edge] = time.Now().Add(6 * time.Second)
	return nil
}

func (s *store) EndLease(_ context.Context, edge string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, edge)
	return nil
}

func (s *store) SetClients(_ context.Context, session uuid.UUID, edge string, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets++
	if s.down {
		return errDown
	}
	if s.counts[session] == nil {
		return eventlog.ErrNoSession
	}
	if s.counts[session][edge] = n; n == 0 {
		delete(s.counts[session], edge)
	}
	return nil
}

func (s *store) Clients(_ context.Context, sessions ...uuid.UUID) (map[uuid.UUID]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks++
	if s.down {
		return nil, errDown
	}
	return s.total(sessions...), nil
}

func (s *store) total(sessions ...uuid.UUID) map[uuid.UUID]int {
	out := map[uuid.UUID]int{}
	for _, session := range sessions {
		for edge, n := range s.counts[session] {
			if time.Now().Before(s.leases[edge]) {
				out[session] += n
			}
		}
	}
	return out
}

func (s *store) has(t *testing.T, session uuid.UUID, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.total(session)[session]; n != want {
		t.Errorf("the store counts %d clients, want %d (%v)", n, want, maps.Collect(maps.All(s.counts[session])))
	}
}

func (s *store) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// edge runs a presence over the store until the returned function is called.
func edge(t *testing.T, s *store) (*presence.Presence, func()) {
	t.Helper()
	p := presence.New(s, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(io.Discard, nil)))
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
