package engineio

import (
	"sync"
	"time"
)

// tombTime is how long a poll that was on its way when its client closed the session is answered as if it had been there.
const tombTime = time.Second

// table knows the sessions by their ids.
type table struct {
	mu       sync.RWMutex
	sessions map[string]*Session
	tombs    []tomb // in the order of their times; few, as they do not last
}

// tomb remembers a session that its client closed while no poll was pending.
type tomb struct {
	id    string
	until time.Duration
}

// get finds a session. The id may be a view of bytes that will change.
func (t *table) get(id []byte) *Session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.sessions[string(id)]
}

func (t *table) add(s *Session) {
	t.mu.Lock()
	t.sessions[s.id] = s
	t.mu.Unlock()
}

func (t *table) remove(s *Session) {
	t.mu.Lock()
	if t.sessions[s.id] == s {
		delete(t.sessions, s.id)
	}
	t.mu.Unlock()
}

func (t *table) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.sessions)
}

// bury takes a session out and remembers it for a moment.
func (t *table) bury(s *Session, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sessions, s.id)
	t.sweep(now)
	t.tombs = append(t.tombs, tomb{s.id, now + tombTime})
}

// mourn says whether a session was buried just now. One poll gets to know.
func (t *table) mourn(id []byte, now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now)
	for i, tomb := range t.tombs {
		if tomb.id == string(id) {
			t.tombs = append(t.tombs[:i:i], t.tombs[i+1:]...)
			return true
		}
	}
	return false
}

func (t *table) sweep(now time.Duration) {
	old := 0
	for old < len(t.tombs) && t.tombs[old].until <= now {
		old++
	}
	if t.tombs = t.tombs[old:]; len(t.tombs) == 0 {
		t.tombs = nil
	}
}
