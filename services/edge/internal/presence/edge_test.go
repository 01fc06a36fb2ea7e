package presence_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/presence"
)

// edge is a presence over the store that runs until end is called.
type edge struct {
	*presence.Presence
	t    *testing.T
	link *link
	end  func()
}

func (s *store) edge(t *testing.T) *edge {
	t.Helper()
	l := &link{store: s}
	e := &edge{t: t, link: l, Presence: presence.New(l, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	e.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return e
}

// isCut loses or gets back the edge's way to the store.
func (e *edge) isCut(cut bool) { e.link.set(func() { e.link.cut = cut }) }

// room is a session that is open on an edge, and what it was told.
type room struct {
	hub.Counter
	mu   sync.Mutex
	news []hub.News
}

// opens opens a session and waits for the first news.
func (e *edge) opens(session uuid.UUID) *room {
	e.t.Helper()
	r := &room{}
	r.Counter = e.Open(session, func(n hub.News) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.news = append(r.news, n)
	})
	e.link.set(func() {
		if p := e.link.sessions[session]; p != nil {
			p.rooms = append(p.rooms, r)
		}
	})
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
	return r
}

// enters lets n clients come and returns how many the last is told that there are.
func (r *room) enters(n int) (clients int) {
	for range n {
		_, clients = r.Enter(uuid.New())
	}
	return clients
}

// last is the newest count that the room was told by the store, and who is counted in it.
func (r *room) last() (who wire.Presence, counted uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.news {
		if n.Who.Seq >= who.Seq {
			who = n.Who
		}
		counted = max(counted, n.Counted)
	}
	return who, counted
}

// counts fails the test unless the store has n clients, and each room was told so.
func (s *store) counts(t *testing.T, session uuid.UUID, n int, rooms ...*room) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	p := s.sessions[session]
	total, seq := p.total(), p.seq
	s.mu.Unlock()
	if total != n {
		t.Errorf("the store counts %d clients, want %d: %v", total, n, p.edges)
	}
	for i, r := range rooms {
		if who, _ := r.last(); who.Seq == seq && int(who.Count) != n {
			t.Errorf("room %d was told %+v, want %d", i, who, n)
		}
		ticket, clients := r.Enter(uuid.Nil)
		r.Leave(uuid.Nil)
		if clients != n+1 || ticket == 0 {
			t.Errorf("one more in room %d would be told %d, want %d", i, clients, n+1)
		}
	}
}

// announced returns what was published for a session.
func (s *store) announced(session uuid.UUID) []announcement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sessions[session].told)
}

// gone are the announcements among a that say that somebody went.
func gone(a []announcement) []announcement {
	return slices.DeleteFunc(slices.Clone(a), func(a announcement) bool { return a.event != wire.SessionDisconnected })
}
