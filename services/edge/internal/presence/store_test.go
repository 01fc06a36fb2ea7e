package presence_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
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
