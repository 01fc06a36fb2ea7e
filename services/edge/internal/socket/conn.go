package socket

// Conn is one WebSocket connection. All methods may be called by any goroutine at any time, also after the end of the
// connection, and never block.
type Conn struct{}

// Attach starts a subscription: first (complete frames, normally `joined`) is sent, then every version of s from
// after+1 on, first what the ring has already. The room calls it under its lock, so that no version falls between
// after and the first Deliver. Errors: ErrClosed, ErrNoSlot, ErrOverflow.
func (c *Conn) Attach(s Stream, after uint64, first []byte) (Slot, error) { return Slot{}, nil }

// Detach ends a subscription: nothing more of it is sent, then last (complete frames, normally `left`; may be nil).
// An old or zero slot only sends last.
func (c *Conn) Detach(slot Slot, last []byte) {}

// Deliver says that version is in the ring of the slot's stream now, and passes its frame so that a connection that
// keeps up is written to directly. The caller calls it with ascending versions. An old slot is ignored.
func (c *Conn) Deliver(slot Slot, version uint64, frame []byte) {}

// Ephemeral sends a frame that has no version, if the slot is up to date and the socket takes it now. If not, it
// returns false, and the slot gets Stream.Latest when it has caught up.
func (c *Conn) Ephemeral(slot Slot, frame []byte) bool { return false }

// Supply answers Stream.Refill: frames are the complete frames of the versions first, first+1, …. The slot reads them,
// then goes on with the ring; if the ring has moved on it asks again. No frames mean: look at the ring again.
func (c *Conn) Supply(slot Slot, first uint64, frames [][]byte) {}

// Resync puts the slot on another branch or behind a hole: frame (normally `resync`) is sent, then the versions of s
// from head+1 on. A room that changes branch makes a new Stream, so that frames of both can never mix.
func (c *Conn) Resync(slot Slot, s Stream, head uint64, frame []byte) {}

// Send queues complete control frames (an answer, an error, a status); they go before records and between frames.
// Errors: ErrClosed, ErrOverflow (the connection is then closed).
func (c *Conn) Send(frame []byte) error { return nil }

// Close ends the connection: what Send has queued, then a close frame, then the socket. The first call wins.
// Reason is cut at 123 bytes. Records still behind are not sent.
func (c *Conn) Close(code int, reason string) {}

// Drain is Close after every slot has reached the head of its room, or after Config.StallAfter at the latest.
func (c *Conn) Drain(code int, reason string) {}
