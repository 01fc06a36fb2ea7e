package native

import (
	"net/url"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// connection is one native client. Its subscriptions are few, so they are a list.
type connection struct {
	handler *Handler
	conn    *socket.Conn
	id      uuid.UUID   // the client_id
	budget  rate.Bucket // of joins; of the goroutine that reads

	lane *commands.Lane // nil until the first command; of the goroutine that reads

	mu   sync.Mutex
	subs []*subscription
}

// Message answers one request.
func (c *connection) Message(payload []byte) {
	req, err := parseRequest(payload)
	if err != nil {
		c.handler.metrics.requests.WithLabelValues("garbage").Inc()
		c.refuse(req.id, *err)
		if req.hopeless {
			c.conn.Close(wire.CloseProtocol, "not a JSON object")
		}
		return
	}
	switch req.kind {
	case "ping":
		c.count("ping")
		c.send(appendPong(nil, req.id))
	case "join":
		c.count("join")
		c.join(req)
	case "leave":
		c.count("leave")
		c.leave(req)
	case "command":
		c.count("command")
		c.command(req.id, payload)
	default:
		c.count("unknown")
		c.refuse(req.id, problem{wire.InvalidRequest, "type must be join, leave, command or ping"})
	}
}

// command has the command service answer a command.
func (c *connection) command(id, payload []byte) {
	request, err := commands.Parse(payload)
	if err != nil {
		c.refuse(id, problem{wire.InvalidRequest, err.Error()})
		return
	}
	if c.lane == nil {
		c.lane = c.handler.commands.Lane()
	}
	c.lane.Do(request, func(a commands.Answer) { c.send(appendResult(nil, id, a)) })
}

func (c *connection) count(kind string) { c.handler.metrics.requests.WithLabelValues(kind).Inc() }

// Closed takes the client out of all its rooms.
func (c *connection) Closed(err error) {
	c.handler.metrics.closed(err)
	c.mu.Lock()
	subs := c.subs
	c.subs = nil
	c.mu.Unlock()
	for _, s := range subs {
		s.leave(nil, false)
	}
}

// joinByURL joins what the query names. A refusal closes the connection.
func (c *connection) joinByURL(query url.Values) {
	c.count("join_url")
	session, bad := parseSession(query.Get("session_id"))
	var after hub.After
	if bad == nil && query.Has("after") {
		after, bad = parseAfter(query.Get("after"), query.Get("epoch"))
	}
	if bad != nil {
		c.refuse(nil, *bad)
		c.conn.Close(bad.code.CloseCode(), bad.message)
		return
	}
	c.enter(&subscription{connection: c, session: session, url: true}, after)
}

// join starts a subscription. A session that is joined already is left first: so a
// client that found a gap asks again from where it is.
func (c *connection) join(req request) {
	if !c.mayJoin(req.id) {
		return
	}
	session, bad := parseSession(req.session)
	if bad != nil {
		c.refuse(req.id, *bad)
		return
	}
	if old := c.take(session); old != nil {
		old.leave(nil, false)
	}
	c.enter(&subscription{connection: c, session: session, joinID: req.id}, req.after)
}

// mayJoin refuses a join that comes too soon or too late.
func (c *connection) mayJoin(id []byte) bool {
	switch {
	case c.handler.draining.Load():
		c.handler.refused("draining")
		c.refuse(id, problem{wire.Unavailable, "this instance is stopping"})
		return false
	case !c.handler.joins.Take(&c.budget):
		c.handler.refused("join_rate")
		c.refuse(id, problem{wire.RateLimited, "too many joins"})
		c.conn.Close(wire.RateLimited.CloseCode(), "too many joins")
		return false
	default:
		return true
	}
}

// enter puts s on the list and joins the room.
func (c *connection) enter(s *subscription, after hub.After) {
	c.mu.Lock()
	full := len(c.subs) >= c.handler.limits.Sessions
	if !full {
		c.subs = append(c.subs, s)
	}
	c.mu.Unlock()
	if full {
		c.handler.refused("sessions")
		c.refuse(s.joinID, problem{wire.InvalidRequest, "too many sessions on one connection"})
		return
	}
	s.begin(after)
}

func (c *connection) leave(req request) {
	session, bad := parseSession(req.session)
	if bad != nil {
		c.refuse(req.id, *bad)
		return
	}
	s := c.take(session)
	if s == nil {
		c.refuse(req.id, notJoined)
		return
	}
	s.leave(req.id, true)
}

var notJoined = problem{wire.InvalidRequest, "this connection has not joined the session"}

// take removes the session's subscription from the list.
func (c *connection) take(session uuid.UUID) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.subs, func(s *subscription) bool { return s.session == session })
	if i < 0 {
		return nil
	}
	s := c.subs[i]
	c.subs = slices.Delete(c.subs, i, i+1)
	return s
}

// drop removes s from the list if it is there.
func (c *connection) drop(s *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = slices.DeleteFunc(c.subs, func(x *subscription) bool { return x == s })
}

func (c *connection) send(text []byte) {
	_ = c.conn.Send(framed(text)) // closing or overflowing: the socket ends the connection itself
}

func (c *connection) refuse(id []byte, p problem) {
	c.handler.metrics.errors.WithLabelValues(string(p.code)).Inc()
	c.send(appendError(nil, id, p))
}
