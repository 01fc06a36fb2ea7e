package socket

import (
	"math/bits"
	"sync"
)

// job says what an entry of the control queue does when its frame has been accepted by the socket.
type job uint8

const (
	jobSend      job = iota // nothing more
	jobBeat                 // nothing more; the frame is never the first of a connection
	jobAttach               // the slot begins
	jobDetach               // the slot has ended (before the frame is sent)
	jobSupply               // the slot gets a backlog; there is no frame
	jobResync               // the slot changes stream and cursor
	jobEphemeral            // the frame is sent only if the slot is live; it is never waited for
	jobTell                 // the slot has been told a state
	jobLend                 // the last: the socket goes to the borrower; there is no frame
)

// order is one entry of the control queue.
type order struct {
	job     job
	topic   uint8
	slot    Slot
	version uint64 // for jobEphemeral and jobTell: the state's number
	frame   []byte
	stream  Stream
	frames  [][]byte
}

// queue is a connection's control queue: many goroutines push, the holder of the token peeks and drops. An idle
// connection keeps no storage in it.
type queue struct {
	mu      sync.Mutex
	orders  []order
	bytes   int
	used    uint16 // slots taken, from Attach until the holder has carried out Detach
	gen     uint32 // generation of the newest slot; every Attach takes the next
	closure *closure
}

// closure is how a connection ends. The first one decides, but for flush and hurry, which may be taken back or added.
type closure struct {
	code   int
	reason string
	cause  error
	flush  bool // wait until every slot has reached its head
	hurry  bool // the peer has closed its half: end the socket right after the close frame
	since  uint32
}

// push adds o and returns ErrOverflow when there are more than limit orders or maxBytes bytes.
func (q *queue) push(o order, limit, maxBytes int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.add(o, limit, maxBytes)
}

func (q *queue) add(o order, limit, maxBytes int) error {
	if len(q.orders) >= limit || q.bytes+len(o.frame) > maxBytes && len(q.orders) > 0 {
		return ErrOverflow
	}
	q.orders = append(q.orders, o)
	q.bytes += len(o.frame)
	return nil
}

// attach reserves a slot and adds the order that begins it.
func (q *queue) attach(o order, limit, maxBytes int) (Slot, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	index := bits.TrailingZeros16(^q.used)
	if index >= MaxSlots {
		return Slot{}, ErrNoSlot
	}
	o.slot = Slot{index: uint8(index), gen: q.gen + 1}
	if err := q.add(o, limit, maxBytes); err != nil {
		return Slot{}, err
	}
	q.gen++
	q.used |= 1 << index
	return o.slot, nil
}

// free gives a slot's place back.
func (q *queue) free(index uint8) {
	q.mu.Lock()
	q.used &^= 1 << index
	q.mu.Unlock()
}

// attached says whether there has ever been a slot.
func (q *queue) attached() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.gen > 0
}

// peek returns the oldest order.
func (q *queue) peek() (order, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.orders) == 0 {
		return order{}, false
	}
	return q.orders[0], true
}

// drop removes the oldest order.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= len(q.orders[0].frame)
	q.orders[0] = order{}
	if q.orders = q.orders[1:]; len(q.orders) == 0 {
		q.orders = nil
	}
}

// discard empties the queue for good.
func (q *queue) discard() {
	q.mu.Lock()
	q.orders, q.bytes = nil, 0
	q.mu.Unlock()
}

// end sets how the connection ends, if nobody has done so, and lets hurry be added. It returns whether it was first.
func (q *queue) end(c closure) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closure != nil {
		if c.hurry {
			q.closure.hurry, q.closure.flush = true, false
		}
		return false
	}
	q.closure = &c
	return true
}

// stopFlushing lets the close frame go although slots are behind.
func (q *queue) stopFlushing() {
	q.mu.Lock()
	if q.closure != nil {
		q.closure.flush = false
	}
	q.mu.Unlock()
}

// ending returns a copy of the closure.
func (q *queue) ending() (closure, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closure == nil {
		return closure{}, false
	}
	return *q.closure, true
}

// flushControl carries out the orders of the queue. It returns true if all are done and the stream stands between frames.
func (c *Conn) flushControl() bool {
	c.word.clear(control)
	for {
		o, ok := c.queue.peek()
		if !ok {
			return true
		}
		done := c.obey(o)
		if done {
			c.queue.drop()
		}
		if !done || len(c.rest) > 0 || c.word.has(abort|lent) {
			c.word.set(control)
			return false
		}
	}
}

// obey carries out one order. False means that it must be tried again.
func (c *Conn) obey(o order) bool {
	s := c.at(o.slot)
	switch o.job {
	case jobDetach:
		if s != nil {
			*s = slot{}
			c.queue.free(o.slot.index)
		}
	case jobBeat:
		if !c.begun {
			return true
		}
	case jobLend:
		c.queue.drop() // before: the borrower may end at once, and this connection, queue and all, with it
		c.lend()
		return false // whatever comes next is not for this connection to do
	case jobSupply:
		if s != nil && s.mode == refill {
			c.supply(s, o)
		}
		return true
	case jobEphemeral:
		c.tell(o.slot, o.frame, State{Topic: o.topic, Number: o.version})
		return true
	case jobTell:
		if s == nil {
			return true
		}
	}
	if len(o.frame) > 0 && !c.put(o.frame) {
		return false
	}
	switch {
	case o.job == jobAttach:
		for len(c.slots) <= int(o.slot.index) {
			c.slots = append(c.slots, slot{})
		}
		c.slots[o.slot.index] = slot{stream: o.stream, cursor: o.version, gen: o.slot.gen, mode: late}
		c.word.set(behind(o.slot.index))
	case o.job == jobResync && s != nil:
		*s = slot{stream: o.stream, cursor: o.version, told: s.told, gen: o.slot.gen, mode: late, missed: s.missed}
		c.word.set(behind(o.slot.index))
	case o.job == jobTell:
		s.told[o.topic] = max(s.told[o.topic], o.version)
	}
	return true
}

// supply gives a slot in refill what the log had.
func (c *Conn) supply(s *slot, o order) {
	s.mode = late
	c.word.set(behind(o.slot.index))
	if o.version > s.cursor+1 || len(o.frames) == 0 {
		return
	}
	if known := s.cursor + 1 - o.version; known < uint64(len(o.frames)) {
		s.backlog = o.frames[known:]
	}
	// What is too much to hold on to is asked for again: the peer has not even been tried with it.
	size := 0
	for i, f := range s.backlog {
		if size += len(f); size > c.rules.backlogBytes && i > 0 {
			s.backlog = s.backlog[:i:i]
			return
		}
	}
}
