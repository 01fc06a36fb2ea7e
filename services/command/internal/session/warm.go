package session

import (
	"container/list"
	"sync"

	"github.com/google/uuid"
)

// warm is the sessions in memory. The ones that nobody uses are forgotten, the least
// recently used first, when there are too many or they are too large. Forgetting
// costs a load, never anything else: a session in memory owns nothing.
type warm struct {
	count int
	bytes int64

	mu       sync.Mutex
	sessions map[uuid.UUID]*list.Element // of *live
	recent   list.List                   // most recently used first
	size     int64
}

// acquire gets a session, which stays in memory until it is released.
func (w *warm) acquire(id uuid.UUID, make func() *live) *live {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, ok := w.sessions[id]
	if ok {
		w.recent.MoveToFront(e)
	} else {
		l := make()
		e = w.recent.PushFront(l)
		l.place, w.sessions[id] = e, e
	}
	l := e.Value.(*live)
	l.users++
	return l
}

// release gives a session back, and makes room if it grew.
func (w *warm) release(l *live) {
	size := l.weight()
	w.mu.Lock()
	defer w.mu.Unlock()
	l.users--
	if w.sessions[l.id] == l.place {
		w.size += size - l.size
		l.size = size
		if size == 0 && l.unused() {
			w.remove(l.place, l) // nothing is known of it: it was only asked for, or does not exist
		}
	}
	for e := w.recent.Back(); e != nil && (len(w.sessions) > w.count || w.size > w.bytes); {
		older, l := e.Prev(), e.Value.(*live)
		if l.unused() {
			w.remove(e, l)
		}
		e = older
	}
}

// unused reports whether nobody waits for the session. It may be at work all the
// same: a load goes on when those who wanted it have given up, and is not for nothing.
func (l *live) unused() bool { return l.users == 0 && l.queue.idle() }

// forget drops a session that is gone.
func (w *warm) forget(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.sessions[id]; ok {
		w.remove(e, e.Value.(*live))
	}
}

func (w *warm) remove(e *list.Element, l *live) {
	w.recent.Remove(e)
	delete(w.sessions, l.id)
	w.size -= l.size
	l.size = 0
}

// totals are the number of sessions in memory and their size in bytes.
func (w *warm) totals() (count int, size int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sessions), w.size
}
