package graphio

import (
	"encoding/json"
	"strconv"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// Event implements socketio.Client. Events that nobody knows are acknowledged with nothing.
func (c *client) Event(e socketio.Event) {
	switch e.Name {
	case "join_session":
		c.count(e.Name)
		c.join(e)
	case "leave_session":
		c.count(e.Name)
		c.leave(e)
	case "ping":
		c.count(e.Name)
		_ = c.socket.Emit("pong") // gone: nobody wants to know
		_ = e.Ack.Send()
	case "command":
		c.count(e.Name)
		c.command(e)
	default:
		c.count("unknown")
		_ = e.Ack.Send()
	}
}

func (c *client) count(event string) { c.namespace.metrics.events.WithLabelValues(event).Inc() }

// join joins the session that an event names. Who is in it already is told so again.
func (c *client) join(e socketio.Event) {
	session, ok := c.named(e)
	if !ok || !c.mayJoin() {
		return
	}
	if s := c.find(session, false); s != nil {
		s.again(e.Ack)
		return
	}
	c.enter(&subscription{client: c, id: c.id, session: session, ack: e.Ack}, hub.After{})
}

// leave leaves the session that an event names.
func (c *client) leave(e socketio.Event) {
	session, ok := c.named(e)
	if !ok {
		return
	}
	object := sessionObject(session, c.id, -1)
	left := socketio.AppendEvent(nil, graphevent.Namespace, "left", object)
	if s := c.find(session, true); s != nil {
		s.leave(left)
	} else {
		_ = c.socket.Send(left) // gone: nobody wants to know
	}
	_ = e.Ack.Send(object)
}

// named reads the session that an event names, {session_id} or the id itself.
func (c *client) named(e socketio.Event) (uuid.UUID, bool) {
	var text string
	if len(e.Args) > 0 {
		var object map[string]json.RawMessage // a struct would take a member whose name differs in case
		if text = textOf(e.Args[0]); text == "" && json.Unmarshal(e.Args[0], &object) == nil {
			text = textOf(object["session_id"])
		}
	}
	if text == "" {
		_ = e.Ack.Send(c.complain(wire.InvalidRequest, "Missing session_id", uuid.Nil))
		return uuid.Nil, false
	}
	session, ok := parseSession(text)
	if !ok {
		_ = e.Ack.Send(c.complain(wire.InvalidSession, "Session not found: not an id", uuid.Nil))
	}
	return session, ok
}

// command has the command service answer a command in the acknowledgement.
func (c *client) command(e socketio.Event) {
	var text []byte
	if len(e.Args) > 0 {
		text = e.Args[0]
	}
	request, err := commands.Parse(text)
	if err != nil {
		_ = e.Ack.Send(c.namespace.cfg.Problem(wire.InvalidRequest, err.Error()))
		return
	}
	if c.lane == nil {
		c.lane = c.namespace.cfg.Commands.Lane()
	}
	c.lane.Do(request, func(a commands.Answer) { _ = e.Ack.Send(a.Body) })
}

// sessionObject is what joined and left say; without a number of clients if that is negative.
func sessionObject(session, client uuid.UUID, clients int) []byte {
	dst := wire.AppendMember([]byte{'{'}, "session_id", session.String())
	dst = wire.AppendMember(append(dst, ','), "client_id", client.String())
	if clients >= 0 {
		dst = strconv.AppendInt(append(dst, `,"active_clients":`...), int64(clients), 10)
	}
	return append(dst, '}')
}

// errorObject is what an error event says.
func errorObject(code wire.Code, message string, session uuid.UUID) []byte {
	dst := wire.AppendMember([]byte{'{'}, "message", message)
	dst = wire.AppendMember(append(dst, ','), "code", string(code))
	dst = strconv.AppendBool(append(dst, `,"retryable":`...), code.Retryable())
	if session != uuid.Nil {
		dst = wire.AppendMember(append(dst, ','), "session_id", session.String())
	}
	return append(dst, '}')
}
