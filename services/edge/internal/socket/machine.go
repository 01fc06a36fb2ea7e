package socket

import (
	"errors"

	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// mode is where a slot stands; only the token holder changes it.
type mode uint8

const (
	vacant mode = iota // no subscription
	live               // at the ring's head when it was last looked at
	late               // something is unsent; the slot's mark is set, or its backlog is being read
	refill             // one read of the log is on its way
)

// slot is one subscription of a connection. All of it is under the token.
type slot struct {
	stream  Stream
	backlog [][]byte // frames of the versions cursor+1 and on, from the log
	cursor  uint64   // the last version of which a byte was accepted
	told    Told     // the states that were sent
	gen     uint32
	mode    mode
	missed  bool  // the frame of a state was not sent
	touched bool  // a frame came from the ring since the last refill
	falls   uint8 // times it fell off the ring without having been live in between
	refills uint8 // reads of the log without having been live in between
}

// at returns the slot if it is still the subscription that the name was given for.
func (c *Conn) at(s Slot) *slot {
	if int(s.index) >= len(c.slots) || s.gen == 0 || c.slots[s.index].gen != s.gen {
		return nil
	}
	return &c.slots[s.index]
}

// pass does what can be done without waiting and within the bounds of one vectored write. The caller holds the token
// before and after.
func (c *Conn) pass() {
	w := c.word.bits.Load()
	switch {
	case w&(dead|lent) != 0:
		return
	case w&abort != 0:
		c.finish()
		return
	case w&writable != 0:
		c.word.clear(writable | armed)
		if !c.out.resume() {
			c.word.set(writable)
			return
		}
	case w&armed != 0:
		return
	}
	c.speak()
	if !c.word.has(dead | lent) {
		c.out.flush()
	}
}

// speak writes what there is to write, as long as the socket takes it.
func (c *Conn) speak() {
	if !c.flushRest() {
		return
	}
	if c.shut {
		c.hush()
		return
	}
	if c.flushControl() && (c.hasty() || c.flushRecords()) {
		c.flushClose()
	}
}

// hasty says whether a close is wanted that does not wait for records.
func (c *Conn) hasty() bool {
	if !c.word.has(ended) {
		return false
	}
	e, ok := c.queue.ending()
	return ok && !e.flush
}

// put writes one frame, or several of one order, between frames. It returns true if at least one byte was accepted: then
// it counts as sent, and what is left of it is rest. False means that the socket is full (armed) or broken (abort).
func (c *Conn) put(frame []byte) bool {
	n, err := c.out.write(frame)
	if !c.account(n, err) {
		return false
	}
	if n < len(frame) {
		c.arm()
		if n > 0 {
			c.rest = frame[n:]
		}
	}
	return n > 0 || len(frame) == 0
}

// account notes progress and failure of a write. It returns false if the socket is broken.
func (c *Conn) account(n int, err error) bool {
	if n > 0 {
		c.begun, c.stuck = true, false
		c.moved.Store(c.rules.clock.Load())
	}
	if err == nil {
		return true
	}
	cause := ErrGone
	if errors.Is(err, ErrSlow) {
		c.rules.count.slow.Add(1)
		cause = ErrSlow
	}
	c.queue.end(closure{cause: cause})
	c.word.set(abort | ended)
	return false
}

// arm says that the socket is full. The kernel's next writability event continues.
func (c *Conn) arm() {
	if !c.stuck {
		c.stuck = true
		c.moved.Store(c.rules.clock.Load())
	}
	c.word.set(armed)
}

// flushRest finishes the frame that was begun. Nothing else may be written before it returns true.
func (c *Conn) flushRest() bool {
	if len(c.rest) == 0 {
		return true
	}
	rest := c.rest
	c.rest = nil
	if !c.put(rest) {
		c.rest = rest
		return false
	}
	if len(c.rest) > 0 {
		return false
	}
	if c.quitting {
		c.leave()
	}
	return true
}

func (c *Conn) tooSlow() {
	c.rules.count.slow.Add(1)
	c.close(closure{code: codeSlow, reason: "slow consumer", cause: ErrSlow})
}

// flushClose sends the close frame when it is due. Orders and, in a drain, records have gone before it.
func (c *Conn) flushClose() {
	w := c.word.bits.Load()
	if w&ended == 0 || w&control != 0 { // with control: what was queued since the look at the queue goes first
		return
	}
	c.word.clear(closing)
	e, ok := c.queue.ending()
	if !ok || e.flush && c.lagging() {
		return
	}
	var buf [frame.MaxControl + 2]byte
	c.quitting = c.put(c.kind.Framing.AppendClose(buf[:0], c.begun, e.code, e.reason))
	switch {
	case c.quitting && len(c.rest) == 0:
		c.leave()
	case !c.quitting:
		c.word.set(closing)
	}
}

// lagging says whether a slot has something to send.
func (c *Conn) lagging() bool {
	if c.word.has(behindAll) {
		return true
	}
	for i := range c.slots {
		if c.slots[i].mode == late || c.slots[i].mode == refill {
			return true
		}
	}
	return false
}

// leave is reached when the close frame is out. The peer gets a moment to answer it: closing a socket with unread input
// would reset the connection and could destroy the frame on its way.
func (c *Conn) leave() {
	c.shut = true
	c.slots = nil
	if c.out.shutWrite() {
		c.rules.linger(c)
	} else {
		c.word.set(abort)
	}
	c.hush()
}

// hush drops what was marked after the close frame. If the peer has answered it, the socket has served.
func (c *Conn) hush() {
	c.queue.discard()
	c.word.clear(allMarks)
	if e, ok := c.queue.ending(); ok && e.hurry {
		c.word.set(abort)
	}
}

// finish ends the machine. The token is never given back; the reader closes the socket.
func (c *Conn) finish() {
	e, ok := c.queue.ending()
	if ok && e.code != 0 && !c.quitting && len(c.rest) == 0 {
		_, _ = c.out.write(c.kind.Framing.AppendClose(nil, c.begun, e.code, e.reason))
	}
	c.retire()
}

// retire lets go of the socket.
func (c *Conn) retire() {
	c.rest, c.slots = nil, nil
	c.queue.discard()
	c.word.set(dead)
	c.out.end()
}
