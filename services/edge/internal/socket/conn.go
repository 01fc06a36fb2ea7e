package socket

import (
	"errors"
	"sync/atomic"

	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// Close codes that the transport itself uses; see api.md part 8.
const (
	codeRestart    = 1012
	codeProtocol   = 4008
	codeOverloaded = 4100
	codeRate       = 4101
	codeSlow       = 4200
)

// output is a socket as the machine writes to it. Only the token holder calls it. A write that takes less than it was
// given, without an error, says that the socket is full.
type output interface {
	write(p []byte) (int, error)
	writev(ps [][]byte) (int, error)
	resume() bool    // the socket takes bytes again; false: leave it to the worker that hand finds
	flush()          // a pass is over
	shutWrite() bool // the last byte was written; true: the peer may want to answer
	end()            // the machine will not use the socket again; whoever reads it closes it
	hand(*Conn)      // work remains after a bounded pass: a worker takes the connection over, token and all
	interrupt()      // by anybody: a write that waits must return
}

// Conn is one connection. All methods may be called by any goroutine at any time, also after the end of the
// connection, and never block.
type Conn struct {
	word  word
	queue queue

	// Fixed before the connection is published.
	rules  *rules
	out    output
	client Client
	kind   *Kind

	// Under the token.
	rest     []byte // the unsent end of exactly one frame (or of one order's frames)
	slots    []slot
	turn     uint8 // the slot that is served first in the next pass
	begun    bool  // a byte was accepted
	stuck    bool  // armed, and no byte accepted since
	quitting bool  // the close frame has been handed to the socket, perhaps not all of it yet
	shut     bool  // the close frame is out: nothing is written any more

	deaf bool // input is ignored, as a violation or a close frame was seen; of the goroutine that reads

	borrower atomic.Pointer[Conn] // who speaks through the socket, or is about to; set once, by Lend

	// Times in ticks of the server's clock.
	moved   atomic.Uint32 // the socket accepted bytes, or began to be full
	heard   atomic.Uint32 // bytes came from the peer
	waiting atomic.Uint32 // since when a subscription is waited for; 0 when one has been seen
	pinged  uint32        // when the last unanswered ping was sent, 0 if none is open; of the wheel

	// Of the goroutine that reads.
	reader *frame.Reader
	budget rate.Bucket

	// Of the registry and the wheel.
	house household
	index uint32
	gen   uint32
	next  *Conn // in the writers' line or the poller's list of the dead; it can never be in both
}

// Attach starts a subscription: first (complete frames, normally `joined`) is sent, then every version of s from
// after+1 on, first what the ring has already. The room calls it under its lock, so that no version falls between
// after and the first Deliver. Errors: ErrClosed, ErrNoSlot, ErrOverflow (the connection is then being closed).
func (c *Conn) Attach(s Stream, after uint64, first []byte) (Slot, error) {
	if c.word.has(ended) {
		return Slot{}, ErrClosed
	}
	slot, err := c.queue.attach(order{job: jobAttach, version: after, frame: first, stream: s}, c.rules.orders, c.rules.orderBytes)
	switch {
	case err == nil:
		c.mark(control)
	case errors.Is(err, ErrOverflow):
		c.overflow()
	}
	return slot, err
}

// Detach ends a subscription: nothing more of it is sent, then last (complete frames, normally `left`; may be nil).
// An old or zero slot only sends last.
func (c *Conn) Detach(slot Slot, last []byte) {
	_ = c.give(order{job: jobDetach, slot: slot, frame: last})
}

// Deliver says that version is in the ring of the slot's stream now, and passes its frame so that a connection that
// keeps up is written to directly. The caller calls it with ascending versions. An old slot is ignored.
func (c *Conn) Deliver(slot Slot, version uint64, frame []byte) {
	if !c.word.acquireIdle() {
		c.mark(behind(slot.index))
		return
	}
	if s := c.at(slot); s != nil && !c.forward(s, version, frame) {
		c.word.set(behind(slot.index))
	}
	if !c.word.release() {
		c.work()
	}
}

// forward writes one version to a slot that has all before it. It returns false if a pass must look at the slot.
func (c *Conn) forward(s *slot, version uint64, frame []byte) bool {
	if s.cursor >= version || s.mode == refill {
		return true
	}
	if s.mode != live || s.cursor != version-1 || len(frame) == 0 {
		return false
	}
	if !planted.Sometimes(planted.DropFrame) && !c.put(frame) && !planted.Is(planted.CursorOnFull) {
		return false
	}
	if !planted.Sometimes(planted.DuplicateFrame) {
		s.cursor = version
	}
	return true
}

// Ephemeral sends a frame that has no version, if the slot is up to date and the socket takes it now. If not, it
// returns false, and the slot gets what replaces a state from Stream.Latest when it has caught up. Each state is sent
// to a slot once at most, whichever way is first, and none after a newer one.
func (c *Conn) Ephemeral(slot Slot, frame []byte, state State) bool {
	if c.word.acquireIdle() {
		sent := c.tell(slot, frame, state)
		if !c.word.release() {
			c.work()
		}
		return sent
	}
	w := c.word.bits.Load()
	if w&(armed|ended|behind(slot.index)) == 0 {
		err := c.queue.push(order{job: jobEphemeral, slot: slot, frame: frame, topic: state.Topic, version: state.Number},
			c.rules.orders/2, c.rules.orderBytes/2)
		if err == nil {
			c.mark(control)
			return true
		}
	}
	if state.Number > 0 {
		c.mark(missed(slot.index))
	}
	return false
}

// tell sends an ephemeral frame to a slot unless it knows it.
func (c *Conn) tell(slot Slot, frame []byte, state State) bool {
	s := c.at(slot)
	switch {
	case s == nil:
		return false
	case state.Number > 0 && s.told[state.Topic] >= state.Number:
		return true
	case s.mode == live && !s.missed && !c.word.has(missed(slot.index)) && c.put(frame): // what was missed goes first
		s.told[state.Topic] = max(s.told[state.Topic], state.Number)
		return true
	}
	if state.Number > 0 {
		c.word.set(missed(slot.index))
	}
	return false
}

// Tell queues the frame of a state, which the slot gets whether it is up to date or not. It is for the first of a topic.
func (c *Conn) Tell(slot Slot, frame []byte, state State) {
	_ = c.give(order{job: jobTell, slot: slot, frame: frame, topic: state.Topic, version: state.Number})
}

// Supply answers Stream.Refill: frames are the complete frames of the versions first, first+1, …. The slot reads them,
// then goes on with the ring; if the ring has moved on it asks again. No frames mean: look at the ring again.
func (c *Conn) Supply(slot Slot, first uint64, frames [][]byte) {
	_ = c.give(order{job: jobSupply, slot: slot, version: first, frames: frames})
}

// Resync puts the slot on another branch or behind a hole: frame (normally `resync`) is sent, then the versions of s
// from head+1 on. A room that changes branch makes a new Stream, so that frames of both can never mix.
func (c *Conn) Resync(slot Slot, s Stream, head uint64, frame []byte) {
	_ = c.give(order{job: jobResync, slot: slot, version: head, frame: frame, stream: s})
}

// Send queues complete control frames (an answer, an error, a status); they go before records and between frames.
// Errors: ErrClosed, ErrOverflow (the connection is then closed).
func (c *Conn) Send(frame []byte) error {
	if to := c.borrower.Load(); to != nil {
		return to.Send(frame)
	}
	if c.word.has(ended) {
		return ErrClosed
	}
	return c.give(order{job: jobSend, frame: frame})
}

// Close ends the connection: what Send has queued, then a close frame, then the socket. The first call wins.
// Reason is cut at 123 bytes. Records still behind are not sent.
func (c *Conn) Close(code int, reason string) { c.close(closure{code: code, reason: reason}) }

// Drain is Close after every slot has reached the head of its room, or after Config.StallAfter at the latest.
func (c *Conn) Drain(code int, reason string) {
	c.close(closure{code: code, reason: reason, flush: true})
}

func (c *Conn) close(e closure) {
	if e.cause == nil {
		e.cause = &CloseError{Code: e.code, Reason: e.reason}
	}
	e.since = c.rules.clock.Load()
	if c.queue.end(e) || e.hurry {
		c.mark(closing | ended)
	}
	if to := c.borrower.Load(); to != nil {
		to.close(e)
	}
}

// Fail ends the connection now, whatever is unsent, without a close frame. The first call, of this or of Close, decides the
// cause.
func (c *Conn) Fail(cause error) { c.fail(0, cause) }

// Ended says whether the end of the connection was asked for: what its peer says does not count any more.
func (c *Conn) Ended() bool { return c.word.has(ended) }

// fail ends the connection now. A code other than 0 is sent if the stream stands between two frames and the socket
// takes it.
func (c *Conn) fail(code int, cause error) {
	c.queue.end(closure{code: code, cause: cause, since: c.rules.clock.Load()})
	c.mark(abort | ended)
	c.out.interrupt()
	if to := c.borrower.Load(); to != nil {
		to.fail(code, cause)
	}
}

func (c *Conn) overflow() {
	c.rules.count.overflows.Add(1)
	c.fail(codeSlow, ErrOverflow)
}

// give queues an order and gets it done.
func (c *Conn) give(o order) error {
	err := c.queue.push(o, c.rules.orders, c.rules.orderBytes)
	if err != nil {
		c.overflow()
		return err
	}
	c.mark(control)
	return nil
}

// mark sets bits and, if nobody else is at work on the connection, does the work.
func (c *Conn) mark(bits uint64) {
	if c.word.acquireOrMark(bits) {
		c.work()
	}
}

// work is done by who holds the token: one bounded pass, and what then remains goes to a worker, token and all.
func (c *Conn) work() {
	if c.word.has(patient) {
		c.out.hand(c)
		return
	}
	c.act()
}

// act is work by a goroutine that may be kept for one pass.
func (c *Conn) act() {
	if c.pass(); !c.settled() {
		c.out.hand(c)
	}
}

// drained says that the kernel takes bytes again. A writer that has just met a full socket, and has not said so yet,
// holds the token; with neither token nor armed nobody waits for this.
func (c *Conn) drained() {
	if c.word.has(token | armed) {
		c.mark(writable)
	}
}

// settled gives the token up if there is nothing left to do. It is also true when the connection is over, or lent.
func (c *Conn) settled() bool { return c.word.has(dead|lent) || c.word.release() }
