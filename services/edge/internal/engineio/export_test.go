package engineio

import (
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// Begin makes a session over polling without a request.
func (s *Server) Begin() *Session {
	session := s.session(socket.Opening{}, false)
	_, _ = s.sockets.Detach(socket.Opening{}, s.polling, session, session)
	return session
}

// Take is a POST with that body. It returns false if it is refused.
func (s *Session) Take(body []byte) bool {
	if s.begin() != nil {
		return false
	}
	defer s.leave()
	return s.take(body) == nil
}

// Fetch is a GET that comes when there is something, and its body.
func (s *Session) Fetch() string {
	p := new(poll)
	if _, err := s.await(p); err != nil {
		return err.Error()
	}
	s.conn.Resume()
	for s.waits(p, false) {
		time.Sleep(time.Millisecond)
	}
	return string(p.body)
}
