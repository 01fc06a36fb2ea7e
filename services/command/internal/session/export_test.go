package session

import "github.com/google/uuid"

// Waiting is how many jobs are in the queue of a session.
func Waiting(s *Service, id uuid.UUID) int {
	l := s.acquire(id)
	defer s.warm.release(l)
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	return len(l.queue.waiting)
}
