package socket

import (
	"errors"
	"sync"

	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// readers lends frame readers to connections that stand inside a message.
type readers struct{ pool sync.Pool }

func (r *readers) get() *frame.Reader {
	if x, ok := r.pool.Get().(*frame.Reader); ok {
		return x
	}
	return new(frame.Reader)
}

func (r *readers) put(x *frame.Reader) {
	x.Reset()
	r.pool.Put(x)
}

// receive takes bytes of the peer. It changes data. Only the goroutine that reads the connection calls it.
func (c *Conn) receive(data []byte) {
	c.heard.Store(c.rules.clock.Load())
	if c.kind.mute || c.deaf || len(data) == 0 {
		return
	}
	if c.reader == nil {
		c.reader = c.rules.readers.get()
		c.reader.Binary = c.kind.Binary
	}
	limit := c.rules.messageLimit
	if c.kind.MessageLimit > 0 {
		limit = c.kind.MessageLimit
	}
	if err := c.reader.Feed(data, limit, (*sink)(c)); err != nil {
		c.deaf = true
		c.refuse(err)
	}
	if c.deaf || c.reader.Idle() {
		c.rules.readers.put(c.reader)
		c.reader = nil
	}
}

// refuse closes the connection of a peer that broke the protocol.
func (c *Conn) refuse(err error) {
	c.rules.count.violations.Add(1)
	var v *frame.Violation
	if errors.As(err, &v) {
		if v.Code == frame.CodeTooBig {
			c.rules.limits.refused(TooBig)
		}
		c.close(closure{code: v.Code, reason: v.Reason, cause: err})
	}
}

// sink is the connection as the frame reader sees it.
type sink Conn

// Text implements frame.Sink.
func (s *sink) Text(payload []byte) {
	if c := (*Conn)(s); c.listens() {
		c.rules.count.messages.Add(1)
		c.client.Message(payload)
	}
}

// Binary implements frame.Sink.
func (s *sink) Binary(payload []byte) {
	c := (*Conn)(s)
	if client, ok := c.client.(BinaryClient); ok && c.listens() {
		c.rules.count.messages.Add(1)
		client.Binary(payload)
	}
}

// listens says whether the next message counts.
func (c *Conn) listens() bool {
	if to := c.borrower.Load(); to != nil && to.word.has(ended) {
		return false
	}
	return !c.word.has(ended) && c.Afford()
}

// Ping implements frame.Sink: it is answered.
func (s *sink) Ping(payload []byte) {
	if c := (*Conn)(s); c.listens() {
		_ = c.Send(frame.Append(nil, frame.Pong, payload))
	}
}

// Pong implements frame.Sink. That bytes came at all is what counts.
func (s *sink) Pong() {}

// Close implements frame.Sink: it is answered with the same code.
func (s *sink) Close(code int, reason string) {
	c := (*Conn)(s)
	c.deaf = true
	c.close(closure{code: code, hurry: true, cause: &CloseError{Code: code, Reason: reason, Peer: true}})
}
