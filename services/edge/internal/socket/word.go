package socket

import "sync/atomic"

// The bits of a connection's word. Only the holder of token writes to the socket, ends it, or touches the fields that
// Conn lists under the token. Everybody else only marks.
const (
	token    uint64 = 1 << iota // somebody is at work on the connection
	armed                       // the socket is full: nothing but writable or abort is worth the token. Set by the holder
	writable                    // the kernel said that the socket takes bytes again
	control                     // the control queue has work
	closing                     // a close is wanted
	abort                       // the end is wanted now, whatever is unsent
	ended                       // sticky: a close or abort was asked for; new work is refused
	dead                        // sticky, and token is never released again: the machine is done with the socket
	patient                     // only workers may do the work: writing may wait, or is better done for much at once. Set by the holder
	lent                        // sticky, and token is never released again: another connection speaks through the socket
)

// behind marks that the ring of a slot has something the slot may not have sent; missed, that it did not get an
// ephemeral frame.
const (
	behindShift = 16
	missedShift = 32
	behindAll   = uint64(1<<MaxSlots-1) << behindShift
	missedAll   = uint64(1<<MaxSlots-1) << missedShift
	allMarks    = writable | control | closing | behindAll | missedAll
)

func behind(slot uint8) uint64 { return 1 << (behindShift + slot) }
func missed(slot uint8) uint64 { return 1 << (missedShift + slot) }

// word says who may write to a connection and what is to be done on it, in one atomic value.
type word struct{ bits atomic.Uint64 }

// runnable says whether a token holder would have something to do.
func runnable(w uint64) bool {
	if w&(writable|abort) != 0 {
		return true
	}
	return w&armed == 0 && w&(control|closing|behindAll|missedAll) != 0
}

// acquireOrMark sets marks and returns true if the caller got the token with them and must do the work. False means
// that the holder, or whoever the kernel wakes, will do it.
func (w *word) acquireOrMark(marks uint64) bool {
	for {
		old := w.bits.Load()
		next := old | marks
		if old&token == 0 && runnable(next) {
			next |= token
		}
		if next == old || w.bits.CompareAndSwap(old, next) {
			return next&^old&token != 0
		}
	}
}

// acquireIdle takes the token if nobody holds it and nothing at all is marked. It is the fast path of a fan-out.
func (w *word) acquireIdle() bool { return w.bits.CompareAndSwap(0, token) }

// release gives the token up, unless there is runnable work: then it returns false and the caller still holds it.
func (w *word) release() bool {
	for {
		old := w.bits.Load()
		if runnable(old) {
			return false
		}
		if w.bits.CompareAndSwap(old, old&^token) {
			return true
		}
	}
}

func (w *word) set(bits uint64)      { w.bits.Or(bits) }
func (w *word) clear(bits uint64)    { w.bits.And(^bits) }
func (w *word) has(bits uint64) bool { return w.bits.Load()&bits != 0 }
