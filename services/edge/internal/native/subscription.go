package native

import (
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// subscription is one session on one connection: what the room knows as a client
// and the socket as a slot.
type subscription struct {
	connection *connection
	session    uuid.UUID
	url        bool // joined by the URL: a refusal closes the connection

	mu      sync.Mutex
	joinID  []byte            // of the join's request, until it is answered
	room    *hub.Subscription // nil until the room was asked
	left    bool              // by the client, a later join or the end of the connection
	answer  bool              // leave is to be answered when the room has let go
	leaveID []byte            // of the leave's request

	// Of the room's goroutine.
	slot   socket.Slot
	joined bool
}

// begin joins the room unless the client has left in the meantime.
func (s *subscription) begin(after hub.After) {
	s.mu.Lock()
	left := s.left
	s.mu.Unlock()
	if left {
		return
	}
	room := s.connection.handler.hub.Join(s.session, after, hub.Native, s)
	s.mu.Lock()
	s.room, left = room, s.left
	s.mu.Unlock()
	if left {
		room.Leave()
	}
}

// leave ends the subscription; the client is told left if it asked for it. A join
// that was not answered yet is refused.
func (s *subscription) leave(id []byte, answer bool) {
	s.mu.Lock()
	pending, room := s.joinID, s.room
	s.joinID, s.leaveID = nil, id
	s.left, s.answer = true, answer && room != nil
	s.mu.Unlock()
	if pending != nil {
		s.connection.refuse(pending, problem{wire.InvalidRequest, "the join was withdrawn"})
	}
	switch {
	case room != nil:
		room.Leave()
	case answer:
		s.connection.send(appendLeft(nil, id, s.session))
	}
}

// Start implements hub.Client: it sends joined or resync and gives the socket the
// room's ring to read from.
func (s *subscription) Start(at hub.Start) {
	ring := &stream{Ring: at.Ring, sub: at.Sub}
	if s.joined {
		s.connection.conn.Resync(s.slot, ring, at.Position.Version, framed(AppendResync(nil, s.session, at)))
		return
	}
	s.mu.Lock()
	id, left := s.joinID, s.left
	s.joinID = nil
	s.mu.Unlock()
	if left {
		return // Ended follows
	}
	s.joined = true
	first := framed(AppendJoined(nil, id, s.connection.id, s.session, at))
	if at.Reason != "" {
		first = append(first, framed(AppendResync(nil, s.session, at))...)
	}
	slot, err := s.connection.conn.Attach(ring, at.Position.Version, first)
	if s.slot = slot; errors.Is(err, socket.ErrNoSlot) {
		s.connection.refuse(id, problem{wire.Unavailable, "the connection is still leaving another session"})
		s.connection.drop(s)
		at.Sub.Leave()
	}
}

// Deliver implements hub.Client.
func (s *subscription) Deliver(version uint64, frame []byte) {
	s.connection.conn.Deliver(s.slot, version, frame)
}

// Event implements hub.Client.
func (s *subscription) Event(frame []byte, state hub.State) {
	s.connection.conn.Ephemeral(s.slot, frame, socket.State(state))
}

// Own implements hub.Client.
func (s *subscription) Own(frame []byte, state hub.State) {
	s.connection.conn.Tell(s.slot, frame, socket.State(state))
}

// ID implements hub.Client.
func (s *subscription) ID() uuid.UUID { return s.connection.id }

// Ended implements hub.Client.
func (s *subscription) Ended(err error) {
	s.mu.Lock()
	answer, left := s.answer, s.left
	joinID, leaveID := s.joinID, s.leaveID
	s.mu.Unlock()
	var last []byte
	if answer {
		last = framed(appendLeft(nil, leaveID, s.session))
	}
	s.connection.conn.Detach(s.slot, last)
	if err == nil || left {
		return
	}
	s.connection.drop(s)
	s.sendAway(joinID, err)
}

// sendAway tells the client why the room does not have it, or no longer, and closes
// the connection where the protocol says so.
func (s *subscription) sendAway(id []byte, err error) {
	p := problem{wire.Unavailable, "the session cannot be read now"}
	switch {
	case errors.Is(err, hub.ErrTorn):
		p = torn
	case errors.Is(err, hub.ErrNoSession):
		p = noSession(s.session.String())
	}
	s.connection.refuse(id, p)
	if s.url || s.joined {
		s.connection.conn.Close(p.code.CloseCode(), p.message)
	} else if p.code == wire.Unavailable {
		s.connection.conn.Await()
	}
}

// stream is a room's ring as one connection's slot reads it.
type stream struct {
	*hub.Ring
	sub *hub.Subscription
}

// Latest implements socket.Stream.
func (s *stream) Latest(told socket.Told) ([]byte, socket.Told) { return s.sub.Latest(told) }

// Refill implements socket.Stream.
func (s *stream) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	s.sub.Refill(s.Ring, after, func(first uint64, frames [][]byte) { c.Supply(slot, first, frames) })
}
