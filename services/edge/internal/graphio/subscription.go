package graphio

import (
	"strconv"
	"sync"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// subscription is one session of one peer: what the room knows as a client and the connection as a slot.
type subscription struct {
	client   *client
	id       uuid.UUID // the client's, by which the room knows it
	session  uuid.UUID
	connects bool // CONNECT waits for it

	mu   sync.Mutex
	room *hub.Subscription // nil until the room was asked
	left bool              // by the peer or the end of its connection
	last []byte            // what the peer is told when it has left
	ack  socketio.Ack      // of join_session
	here int               // clients of the session, as the peer was told; 0: not yet

	// Of the room's goroutine.
	sub    *hub.Subscription
	slot   socket.Slot
	joined bool
	replay *replay // not nil: the peer comes back and has not got all it missed
	own    func()  // its own coming, to be told when it has
}

// begin joins the room unless the peer has left in the meantime.
func (s *subscription) begin(after hub.After) {
	c := s.client
	room := c.namespace.cfg.Hub.Join(s.session, after, formatOf(c.dialect, c.recover), s)
	s.mu.Lock()
	left := s.left
	s.room = room
	s.mu.Unlock()
	if left {
		room.Leave()
	}
}

// leave ends the subscription. Last is sent after all events of the session; it may be nil.
func (s *subscription) leave(last []byte) {
	s.mu.Lock()
	room := s.room
	s.left, s.last = true, last
	s.mu.Unlock()
	if room != nil {
		room.Leave()
	}
}

func (s *subscription) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// Start implements hub.Client.
func (s *subscription) Start(at hub.Start) {
	s.sub = at.Sub
	switch {
	case s.over(): // Ended follows
	case s.joined:
		s.lose(at)
	case s.replay == nil:
		s.enter(at, at.Position)
	case at.Reason == "":
		s.replay.begin(s, at)
	default:
		s.anew(string(at.Reason))
	}
}

// anew lets a peer that cannot be continued come again, as one that comes for the first time: another sid and pid say that
// nothing was recovered (Socket.IO's protocol of recovery), and it reads the graph, which is at the head or later.
func (s *subscription) anew(why string) {
	c := s.client
	c.namespace.metrics.recoveries.WithLabelValues(why).Inc()
	c.drop(s)
	s.leave(nil)
	c.renew()
	c.first(s.session)
}

// enter answers CONNECT, if that waits, and gives the connection the room's ring to read from. With a first position, which
// the peer needs if it is to recover, the events that tell it come first.
func (s *subscription) enter(at hub.Start, from wire.Position) {
	c := s.client
	s.joined = true
	var first []byte
	if c.recover && s.replay == nil {
		first = s.position("session:position", from, "")
	}
	s.replay = nil
	if s.connects {
		c.accept()
	}
	slot, err := c.conn.Attach(&stream{Ring: at.Ring, format: formatOf(c.dialect, c.recover), sub: at.Sub}, from.Version, first)
	if err != nil { // the connection is over, or still leaving sixteen others
		c.sendAway()
		return
	}
	s.slot = slot
	c.arrived()
	if s.own != nil {
		s.own()
		s.own = nil
	}
}

// lose tells the peer that it is behind a hole, or on a branch that did not survive, and ends its transport: clients that
// come back read the graph anew.
func (s *subscription) lose(at hub.Start) {
	_ = s.client.socket.Send(s.position("session:resync", at.Position, string(at.Reason))) // gone: nobody wants to know
	s.client.sendAway()
}

// position is an event that names a state of the session.
func (s *subscription) position(name wire.EventName, at wire.Position, reason string) []byte {
	shared := wire.AppendMember(nil, "session_id", s.session.String())
	own := wire.AppendMember(nil, "epoch", at.Epoch.String())
	own = strconv.AppendUint(append(own, `,"version":`...), at.Version, 10)
	own = wire.AppendMember(append(own, ','), "position", at.String())
	var offset []byte
	if reason != "" {
		own = wire.AppendMember(append(own, ','), "reason", reason)
	} else {
		offset = graphevent.Offset{Session: s.session, Position: at}.Append(nil)
	}
	return graphevent.Append(nil, s.client.dialect.Name(name), shared, own, offset)
}

// Deliver implements hub.Client.
func (s *subscription) Deliver(version uint64, frame []byte) {
	if s.joined {
		s.client.conn.Deliver(s.slot, version, frame)
	}
}

// Event implements hub.Client.
func (s *subscription) Event(frame []byte, state hub.State) {
	if s.joined {
		s.client.conn.Ephemeral(s.slot, frame, socket.State(state))
	}
}

// Own implements hub.Client. In the shipped dialect joined follows.
func (s *subscription) Own(frame []byte, state hub.State) {
	s.mu.Lock()
	s.here = s.sub.Clients()
	ack, joins := s.ack, !s.connects
	s.ack = socketio.Ack{}
	clients := s.here
	s.mu.Unlock()
	s.own = func() {
		if joins {
			object := sessionObject(s.session, s.id, clients)
			frame = socketio.AppendEvent(frame[:len(frame):len(frame)], graphevent.Namespace, "joined", object)
			_ = ack.Send(object) // not wanted, or gone
		}
		s.client.conn.Tell(s.slot, frame, socket.State(state))
	}
	if s.joined {
		s.own()
		s.own = nil
	}
}

// again tells the peer that it is in the session, if it was told before; otherwise it will be.
func (s *subscription) again(ack socketio.Ack) {
	s.mu.Lock()
	here := s.here
	s.mu.Unlock()
	if here == 0 {
		_ = ack.Send()
		return
	}
	object := sessionObject(s.session, s.id, here)
	_ = ack.Send(object)
	_ = s.client.socket.Emit("joined", object) // gone: nobody wants to know
}

// ID implements hub.Client.
func (s *subscription) ID() uuid.UUID { return s.id }

// Ended implements hub.Client.
func (s *subscription) Ended(err error) {
	s.mu.Lock()
	left, last := s.left, s.last
	s.mu.Unlock()
	s.client.conn.Detach(s.slot, last)
	if err == nil || left {
		return
	}
	s.client.drop(s)
	code, message := trouble(err)
	switch {
	case code == wire.Unavailable: // it will be there again, and so will the peer
		s.answer(s.client.complain(code, message, s.session))
		s.client.sendAway()
	case s.replay != nil && s.client.dialect == graphevent.Shipped: // it joins by events, perhaps another one
		s.client.renew()
		s.client.accept()
	case s.connects && !s.joined:
		s.client.socket.Refuse(message+": "+s.session.String(), s.client.namespace.cfg.Problem(code, message))
	default:
		s.answer(s.client.complain(code, message+": "+s.session.String(), s.session))
		if s.connects { // there is nothing to come back for
			s.client.socket.Kick()
		}
	}
}

// answer acknowledges the join with an object.
func (s *subscription) answer(object []byte) {
	s.mu.Lock()
	ack := s.ack
	s.ack = socketio.Ack{}
	s.mu.Unlock()
	_ = ack.Send(object) // not wanted, or gone
}

// stream is a room's ring as one connection's slot reads it.
type stream struct {
	*hub.Ring
	format hub.Format
	sub    *hub.Subscription
}

// Frame implements socket.Stream.
func (s *stream) Frame(version uint64) []byte { return s.FrameAs(s.format, version) }

// Latest implements socket.Stream.
func (s *stream) Latest(told socket.Told) ([]byte, socket.Told) { return s.sub.Latest(told) }

// Refill implements socket.Stream.
func (s *stream) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	s.sub.Refill(s.Ring, after, func(first uint64, frames [][]byte) { c.Supply(slot, first, frames) })
}
