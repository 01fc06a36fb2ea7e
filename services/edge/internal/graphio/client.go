package graphio

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// client is one peer in the namespace. Its subscriptions are few, so they are a list.
type client struct {
	namespace *Namespace
	socket    *socketio.Socket
	conn      *socket.Conn

	// Fixed by Connect.
	dialect graphevent.Dialect
	recover bool // it wants offsets

	// Fixed when CONNECT is answered.
	id  uuid.UUID // the client_id, and the namespace's id of the peer
	pid string    // its token, if it wants offsets

	// Of the goroutine that reads.
	budget rate.Bucket    // of joins
	lane   *commands.Lane // nil until the first command

	mu      sync.Mutex
	subs    []*subscription
	gone    bool
	joined  bool            // to some session, at some time
	joining *engineio.Alarm // until then
}

// connect answers CONNECT: at once in the shipped dialect, when the session has been joined in the planned one, and when
// what was missed has been sent to a peer that recovers.
func (c *client) connect(a auth) {
	c.recover = a.recover
	c.dialect = graphevent.Shipped
	if a.named != "" {
		c.dialect = graphevent.Planned
	}
	c.namespace.metrics.connects.WithLabelValues(c.name("planned", "shipped")).Inc()
	switch from, ok := c.recovers(a); {
	case ok:
		c.resume(from)
	case a.named == "":
		c.accept()
	case a.session == uuid.Nil:
		c.socket.Refuse("Session not found: "+a.named, c.namespace.cfg.Problem(wire.InvalidSession, "Session not found: not an id"))
	case c.mayJoin():
		c.first(a.session)
	}
}

// recovers reports whether the peer can be continued, and from where. If so it is who it was.
func (c *client) recovers(a auth) (graphevent.Offset, bool) {
	if !a.recover {
		return graphevent.Offset{}, false
	}
	key, now := c.namespace.cfg.Key(), time.Now()
	was, known := openPID(a.pid, key, now)
	from, err := graphevent.ParseOffset(a.offset)
	if known && err == nil && was.dialect == c.dialect && (a.named == "" || a.session == from.Session) {
		c.id, c.pid = was.client, a.pid
		return from, true
	}
	if a.pid != "" {
		c.namespace.metrics.recoveries.WithLabelValues("unknown").Inc()
	}
	c.renew()
	return graphevent.Offset{}, false
}

// renew makes the peer, which asked to be continued, one that comes for the first time: another id, another token.
func (c *client) renew() {
	c.id = newID()
	c.pid = newPID(c.id, c.dialect, time.Now()).sign(c.namespace.cfg.Key())
}

// first joins the session that CONNECT waits for, at its head.
func (c *client) first(session uuid.UUID) {
	c.enter(&subscription{client: c, id: c.id, session: session, connects: true}, hub.After{})
}

// resume joins the session of a peer that comes back, behind the last commit of which it has all events.
func (c *client) resume(from graphevent.Offset) {
	if c.mayJoin() {
		s := &subscription{client: c, id: c.id, session: from.Session, connects: true, replay: &replay{events: from.Events}}
		c.enter(s, hub.After{Given: true, Proven: true, Position: from.Position})
	}
}

// accept answers CONNECT. From now on the peer has its time to join a session.
func (c *client) accept() {
	c.mu.Lock()
	if !c.joined && !c.gone {
		c.joining = c.socket.Session().After(c.namespace.cfg.JoinWithin, c.joinless)
	}
	c.mu.Unlock()
	var extra []byte
	if c.recover {
		extra = wire.AppendMember([]byte{','}, "pid", c.pid)
	}
	c.socket.AcceptAs(c.id.String(), extra)
}

// arrived notes that the peer has joined a session; once is enough.
func (c *client) arrived() {
	c.mu.Lock()
	c.joined = true
	joining := c.joining
	c.mu.Unlock()
	joining.Stop()
}

// joinless sends away a peer that has not joined a session in time.
func (c *client) joinless() {
	c.namespace.cfg.Refused("join_deadline")
	c.complain(wire.InvalidRequest, "no session was joined in time", uuid.Nil)
	c.sendAway()
}

// sendAway ends the transport: the peer comes back by itself, to another edge or to this one.
func (c *client) sendAway() { c.socket.Session().Close() }

// mayJoin refuses a join that comes too soon or too late.
func (c *client) mayJoin() bool {
	n := c.namespace
	switch {
	case n.draining.Load():
		n.cfg.Refused("draining")
	case !n.joins.Take(&c.budget):
		n.cfg.Refused("join_rate")
		c.complain(wire.RateLimited, "too many joins", uuid.Nil)
	default:
		return true
	}
	c.sendAway()
	return false
}

// enter puts s on the list and joins the room.
func (c *client) enter(s *subscription, after hub.After) {
	limit := c.namespace.cfg.Sessions
	if c.recover {
		limit = 1 // an offset is of one session
	}
	c.mu.Lock()
	gone, full := c.gone, len(c.subs) >= limit
	if !full && !gone {
		c.subs = append(c.subs, s)
	}
	c.mu.Unlock()
	switch {
	case gone:
	case full:
		c.namespace.cfg.Refused("sessions")
		s.answer(c.complain(wire.InvalidRequest, "too many sessions on one connection", s.session))
	default:
		s.begin(after)
	}
}

// find returns the session's subscription, and takes it off the list if so wanted.
func (c *client) find(session uuid.UUID, take bool) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.subs, func(s *subscription) bool { return s.session == session })
	if i < 0 {
		return nil
	}
	s := c.subs[i]
	if take {
		c.subs = slices.Delete(c.subs, i, i+1)
	}
	return s
}

// drop removes s from the list if it is there.
func (c *client) drop(s *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = slices.DeleteFunc(c.subs, func(x *subscription) bool { return x == s })
}

// Disconnected implements socketio.Client: it takes the peer out of all its rooms.
func (c *client) Disconnected(error) {
	c.mu.Lock()
	subs := c.subs
	c.subs, c.gone = nil, true
	joining := c.joining
	c.mu.Unlock()
	joining.Stop()
	for _, s := range subs {
		s.leave(nil)
	}
}

// name chooses between the dialects.
func (c *client) name(planned, shipped string) string {
	if c.dialect == graphevent.Planned {
		return planned
	}
	return shipped
}

// complain sends an error event and returns its object.
func (c *client) complain(code wire.Code, message string, session uuid.UUID) []byte {
	c.namespace.metrics.errors.WithLabelValues(string(code)).Inc()
	object := errorObject(code, message, session)
	_ = c.socket.Emit("error", object) // gone: nobody wants to know
	return object
}

// trouble is how an end of a subscription looks to the peer.
func trouble(err error) (wire.Code, string) {
	if errors.Is(err, hub.ErrNoSession) {
		return wire.InvalidSession, "Session not found"
	}
	return wire.Unavailable, "the session cannot be read now"
}
