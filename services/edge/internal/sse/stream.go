package sse

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/eventstream"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/native"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// The time after which a client comes back is drawn between these two, so that those who lose an instance together do
// not come back together.
const (
	minRetry = time.Second
	maxRetry = 3 * time.Second
)

// stream is one client: what the socket knows as a handler of one connection and its client, and the room as a client.
type stream struct {
	endpoint *Endpoint
	id       uuid.UUID // the client_id
	session  uuid.UUID
	after    hub.After
	voice    *voice
	conn     *socket.Conn

	mu   sync.Mutex
	room *hub.Subscription // nil until the room was asked
	over bool              // the connection is gone

	// Of the room's goroutine.
	slot   socket.Slot
	joined bool
}

// Open implements socket.Handler: it begins to join. Nothing is answered before the room has.
func (s *stream) Open(c *socket.Conn, _ socket.Opening) socket.Client {
	s.conn = c
	room := s.endpoint.hub.Join(s.session, s.after, hub.EventStream, s)
	s.mu.Lock()
	s.room = room
	over := s.over
	s.mu.Unlock()
	if over {
		room.Leave()
	}
	return s
}

// Message implements socket.Client; it is never called, as nobody listens to the peer.
func (s *stream) Message([]byte) {}

// Closed implements socket.Client: it leaves the room.
func (s *stream) Closed(err error) {
	s.endpoint.metrics.closes.WithLabelValues(socket.Cause(err)).Inc()
	s.mu.Lock()
	s.over = true
	room := s.room
	s.mu.Unlock()
	if room != nil {
		room.Leave()
	}
}

// Start implements hub.Client: it begins the response with joined, or sends resync, and gives the socket the room's ring
// to read from. Should the connection be over, Ended follows.
func (s *stream) Start(at hub.Start) {
	ring := &ring{Ring: at.Ring, sub: at.Sub}
	resync := func(dst []byte) []byte {
		return eventstream.Append(dst, nil, "resync", native.AppendResync(nil, s.session, at))
	}
	if s.joined {
		s.conn.Resync(s.slot, ring, at.Position.Version, resync(nil))
		return
	}
	s.joined = true
	s.endpoint.metrics.streams.Inc()
	joined := native.AppendJoined(nil, nil, s.id, s.session, at)
	first := s.voice.appendHead(nil)
	first = eventstream.AppendRetry(first, minRetry+rand.N(maxRetry-minRetry))
	first = eventstream.Append(first, []byte(at.Position.String()), "joined", joined)
	if at.Reason != "" {
		first = resync(first)
	}
	s.slot, _ = s.conn.Attach(ring, at.Position.Version, first) // an error means that the connection is over
}

// clientID is a UUIDv7; should the system have no randomness left, one without.
func clientID() uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil
	}
	return id
}

// Deliver implements hub.Client.
func (s *stream) Deliver(version uint64, frame []byte) { s.conn.Deliver(s.slot, version, frame) }

// Event implements hub.Client.
func (s *stream) Event(frame []byte, state hub.State) {
	s.conn.Ephemeral(s.slot, frame, socket.State(state))
}

// Own implements hub.Client.
func (s *stream) Own(frame []byte, state hub.State) { s.conn.Tell(s.slot, frame, socket.State(state)) }

// ID implements hub.Client.
func (s *stream) ID() uuid.UUID { return s.id }

// Ended implements hub.Client: the client is told why, and the response ends.
func (s *stream) Ended(err error) {
	switch {
	case err == nil:
	case errors.Is(err, hub.ErrTorn):
		s.conn.Close(wire.CloseNoSession, "The session is damaged and closed")
	case errors.Is(err, hub.ErrNoSession):
		s.conn.Close(wire.CloseNoSession, "Session not found: "+s.session.String())
	default:
		s.conn.Close(wire.CloseOverloaded, "the session cannot be read now")
	}
}

// ring is a room's ring as one connection's slot reads it.
type ring struct {
	*hub.Ring
	sub *hub.Subscription
}

// Frame implements socket.Stream.
func (r *ring) Frame(version uint64) []byte { return r.FrameAs(hub.EventStream, version) }

// Latest implements socket.Stream.
func (r *ring) Latest(told socket.Told) ([]byte, socket.Told) { return r.sub.Latest(told) }

// Refill implements socket.Stream.
func (r *ring) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	r.sub.Refill(r.Ring, after, func(first uint64, frames [][]byte) { c.Supply(slot, first, frames) })
}
