package socketio

import (
	"bytes"
	"slices"
	"sync"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
)

// connection is one session: it takes packets apart and finds the namespaces they are for.
type connection struct {
	server  *Server
	session *engineio.Session
	joining *engineio.Alarm // until it is connected to a namespace

	mu      sync.Mutex
	sockets []*Socket // few, so a list; one of each namespace

	// Of the goroutine that reads.
	partial *partial
	args    [][]byte
}

// partial is a packet whose attachments have not all come.
type partial struct {
	packet
	got   [][]byte
	bytes int
	late  *engineio.Alarm
}

func (c *connection) parser() parser {
	return parser{c.server.cfg.MaxAttachments, c.server.cfg.MaxDepth, c.server.cfg.MaxArguments}
}

// Message implements engineio.Client.
func (c *connection) Message(payload []byte) {
	if c.partial != nil {
		c.session.Reject()
		return
	}
	args := c.args
	binary := len(payload) > 0 && (payload[0] == typeBinaryEvent || payload[0] == typeBinaryAck)
	if binary { // it is kept until its attachments have come
		payload, args = bytes.Clone(payload), nil
	}
	pk, err := c.parser().parse(payload, args)
	switch {
	case err != nil:
		c.session.Reject()
	case binary:
		c.collect(pk)
	default:
		c.dispatch(pk, nil)
		c.keep(pk.args)
	}
}

// keepArgs is how many arguments the storage has room for that a connection keeps for its next packet.
const keepArgs = 16

// keep keeps the storage of arguments, unless a packet with many of them made it large.
func (c *connection) keep(args [][]byte) {
	if args == nil {
		return
	}
	clear(args)
	if c.args = args[:0]; cap(args) > keepArgs {
		c.args = nil
	}
}

// Binary implements engineio.Client.
func (c *connection) Binary(payload []byte) {
	if c.partial == nil {
		c.session.Reject()
		return
	}
	p := c.partial
	if p.bytes += len(payload); p.bytes > c.server.cfg.MaxAttachmentBytes {
		c.abandon()
		c.session.Reject()
		return
	}
	if p.got = append(p.got, bytes.Clone(payload)); len(p.got) == p.attachments {
		c.abandon()
		c.dispatch(p.packet, p.got)
	}
}

// collect waits for the attachments of a packet, if its namespace takes so many.
func (c *connection) collect(pk packet) {
	if s := c.find(pk.namespace); s == nil || pk.attachments > s.takes {
		c.session.Reject()
		return
	}
	c.partial = &partial{packet: pk, late: c.session.After(c.server.cfg.AttachTimeout, c.session.Reject)}
}

// abandon waits no longer.
func (c *connection) abandon() {
	if c.partial != nil {
		c.partial.late.Stop()
		c.partial = nil
	}
}

// Closed implements engineio.Client.
func (c *connection) Closed(err error) {
	c.abandon()
	c.mu.Lock()
	sockets := c.sockets
	c.sockets = nil
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(err)
	}
}

// dispatch brings a packet to its namespace.
func (c *connection) dispatch(pk packet, attachments [][]byte) {
	s := c.find(pk.namespace)
	switch {
	case pk.kind == typeConnect && s == nil:
		c.connect(pk)
	case pk.kind == typeConnect || s == nil:
		c.session.Reject()
	default:
		if pk.kind == typeDisconnect {
			c.remove(s)
		}
		s.take(pk, attachments)
	}
}

func (c *connection) connect(pk packet) {
	name := string(pk.namespace)
	namespace := c.server.namespaces[name]
	if namespace == nil {
		head := appendHead(nil, typeConnectError, 0, name)
		_ = c.session.Send(message(head, []byte(`{"message":"Invalid namespace"}`)))
		return
	}
	s := &Socket{connection: c, namespace: name, id: engineio.RandomID(), takes: namespace.Attachments(), running: true}
	c.mu.Lock()
	c.sockets = append(c.sockets, s)
	c.mu.Unlock()
	var auth []byte
	if len(pk.data) > 0 {
		auth = pk.data
	}
	s.client = namespace.Connect(s, auth)
	s.run()
}

// find returns the socket that is, or is about to be, connected to a namespace.
func (c *connection) find(namespace []byte) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.namespace == string(namespace) {
			return s
		}
	}
	return nil
}

func (c *connection) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = slices.DeleteFunc(c.sockets, func(x *Socket) bool { return x == s })
}
