package socket_test

import "github.com/talus-tally/talus/services/edge/internal/socket"

// modelPoll is what stands for the socket of a connection that Detach has made, until another lends it one: the peer's
// polls, one after the other, each of which takes some whole frames.
type modelPoll struct {
	w       *world
	pending bool
	packets int
	over    bool // the peer polls no more: it is about to speak through a socket
	got     []byte
	ends    int
}

// Write implements socket.Output.
func (p *modelPoll) Write(b []byte) int {
	p.w.pause()
	if p.ends > 0 {
		p.w.faulty("a poll is written to after the end")
	}
	taken := 0
	for p.pending && taken < len(b) && p.packets < 3 {
		size := int(b[taken])
		if size == 0x88 {
			size = 2 + int(b[taken+1])
		}
		p.got = append(p.got, b[taken:taken+size]...)
		p.packets++
		taken += size
	}
	p.w.pause()
	return taken
}

// Flush implements socket.Output.
func (p *modelPoll) Flush() {
	if p.packets > 0 {
		p.pending, p.packets = false, 0
	}
}

// End implements socket.Output.
func (p *modelPoll) End(func()) { p.ends++ }

// detach makes the connection one without a socket, and in most worlds another that lends it one at some moment.
func (w *world) detach(hand func(*socket.Conn), passBytes int) {
	p := &modelPoll{w: w}
	w.poll = p
	w.conn = socket.NewDetached(p, func(*socket.Conn) {}, passBytes)
	w.serve(func() bool { return !p.pending && !p.over && p.ends == 0 }, func() {
		p.pending = true
		w.pause()
		w.conn.Resume()
	})
	w.serve(w.conn.Handed, func() {
		c := w.conn.TakeHanded()
		for w.pause(); !w.works(c); w.pause() {
		}
	})
	if w.rnd.IntN(3) == 0 {
		return
	}
	w.waits = w.rnd.IntN(2) == 0
	w.lender = w.conn.NewLender(w, hand, w.waits)
	w.spawn(nil, func() {
		_ = w.lender.Send(modelFrame(4, probe, 'p', 0))
		for range w.rnd.IntN(40) {
			w.pause()
		}
		p.over, p.pending, p.packets = true, false, 0 // what the poll has got, the peer gets
		w.pause()
		if err := w.lender.Lend(w.conn); err != nil {
			w.faulty("not lent: %v", err)
		}
	})
}

// probe marks the frame that a lender sends for itself.
const probe = 0xD0

// works is a turn of a worker.
func (w *world) works(c *socket.Conn) bool {
	self := w.current
	self.works = true
	defer func() { self.works = false }()
	return c.Pass()
}

// socket is the connection that the kernel knows.
func (w *world) socket() *socket.Conn {
	if w.lender != nil {
		return w.lender
	}
	return w.conn
}

// stream is all that the peer has got: what the polls brought, then what came through the socket.
func (w *world) stream() []byte {
	if w.poll == nil {
		return w.wire
	}
	wire := w.wire
	if w.lender != nil && !w.gone {
		if len(wire) < 4 || wire[1] != probe {
			w.faulty("the lender's own frame did not come first: %v", wire)
			return nil
		}
	}
	return append(w.poll.got[:len(w.poll.got):len(w.poll.got)], wire[min(4, len(wire)):]...)
}

// ended says whether all that there is has been let go of, and let go of once.
func (w *world) ended() bool {
	switch {
	case w.poll == nil:
		return w.ends == 1
	case w.lender == nil:
		return w.poll.ends == 1
	default: // the poll is let go of unless the connection has moved
		return w.ends == 1 && w.poll.ends <= 1
	}
}

// parted says whether the end was orderly: the close frame was followed by the end of the stream, or came with a poll.
func (w *world) parted() bool {
	if w.poll == nil || w.poll.ends == 0 && w.lender != nil {
		return w.shut && w.ends == 0
	}
	return !w.shut && w.ended()
}
