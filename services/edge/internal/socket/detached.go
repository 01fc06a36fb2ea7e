package socket

import "sync/atomic"

// Output takes what a connection without a socket of its own writes. Write, Flush and End are called by one goroutine at
// a time, and must not block.
type Output interface {
	// Write takes whole messages from the front of p, as many as it likes, and returns their length in bytes. Less than
	// len(p) says that it is full: nothing more comes before Conn.Resume is called. P holds whole frames of the
	// connection's framing; it is shared and must neither be changed nor kept.
	Write(p []byte) int
	// Flush says that nothing more is at hand for the moment.
	Flush()
	// End says that nothing will be written any more. Over must be called once, from any goroutine but not within a call
	// of the Client's methods: it calls Client.Closed.
	End(over func())
}

// detached is a connection without a socket of its own. It writes to an Output and, when it has moved, through the socket
// of another connection, whose token its own stands for.
type detached struct {
	Conn
	registry *registry
	first    Output
	next     atomic.Pointer[Conn] // the lender to which the holder of the token shall move
	via      atomic.Pointer[Conn] // the lender; set once, under the token
}

// Detach opens a connection that has no socket: what it writes goes to out, what its peer says is the business of the
// Client that h opens. It returns how the server refuses it, or an empty Refusal.
func (s *Server) Detach(o Opening, k *Kind, h Handler, out Output) (*Conn, Refusal) {
	if no, _ := s.registry.reserve(householdOf(o.Address), k); no != "" {
		s.cfg.Limits.refused(no)
		return nil, no
	}
	s.rules.count.opened.Add(1)
	d := &detached{registry: s.registry, first: out}
	s.prepare(&d.Conn, k, d, patient, o.Address)
	d.client = h.Open(&d.Conn, o)
	s.registry.publish(&d.Conn)
	d.act()
	return &d.Conn, ""
}

// Resume says that the Output takes bytes again. What waits is written before it returns, unless somebody else is at it.
func (c *Conn) Resume() {
	if !c.word.has(token|armed) || !c.word.acquireOrMark(writable) {
		return
	}
	if d, ok := c.out.(*detached); ok && d.via.Load() == nil {
		c.act()
	} else { // it has moved in the meantime, perhaps to a socket that only workers write to
		c.work()
	}
}

// Lend gives the socket of c, when all that is queued on it has been sent, to a connection that Detach has made, for good.
// From now on what happens to the socket happens to that connection. The messages of the peer still go to the Client of
// c, whose Closed is called right before the other's. Errors: ErrClosed, ErrOverflow.
func (c *Conn) Lend(to *Conn) error {
	c.borrower.Store(to)
	if c.word.has(ended) {
		return ErrClosed
	}
	return c.give(order{job: jobLend})
}

// lend carries out Lend; the holder of the token calls it, and keeps the token for the borrower.
func (c *Conn) lend() {
	d, ok := c.borrower.Load().out.(*detached)
	if !ok {
		return
	}
	c.word.set(lent)
	d.next.Store(c)
	if d.word.has(dead) {
		d.release()
		return
	}
	d.mark(writable)
}

// speaker is the connection whose business the socket of c is.
func (c *Conn) speaker() *Conn {
	if to := c.borrower.Load(); to != nil && c.word.has(lent) {
		return to
	}
	return c
}

// speaksThrough says whether c has moved to the socket of lender.
func (c *Conn) speaksThrough(lender *Conn) bool {
	d, ok := c.out.(*detached)
	return ok && d.via.Load() == lender
}

// release lets go of a lender to which the connection did not move. It may be called by two goroutines at a time.
func (d *detached) release() {
	if lender := d.next.Swap(nil); lender != nil {
		lender.retire()
	}
}

// resume moves the connection if that was asked for.
func (d *detached) resume() bool {
	lender := d.next.Swap(nil)
	if lender == nil {
		return true
	}
	d.via.Store(lender)
	if lender.word.has(patient) {
		return false
	}
	d.word.clear(patient)
	return true
}

func (d *detached) write(p []byte) (int, error) {
	if lender := d.via.Load(); lender != nil {
		return lender.out.write(p)
	}
	return d.first.Write(p), nil
}

func (d *detached) writev(ps [][]byte) (int, error) {
	if lender := d.via.Load(); lender != nil {
		return lender.out.writev(ps)
	}
	total := 0
	for _, p := range ps {
		n := d.first.Write(p)
		if total += n; n < len(p) {
			break
		}
	}
	return total, nil
}

func (d *detached) flush() {
	if d.via.Load() == nil {
		d.first.Flush()
	}
}

func (d *detached) shutWrite() bool {
	if lender := d.via.Load(); lender != nil {
		return lender.out.shutWrite()
	}
	return false
}

// end lets go of the socket. The end of a lender is the end of the connection, in this order; see registry.over.
func (d *detached) end() {
	if lender := d.via.Load(); lender != nil {
		if e, ok := d.queue.ending(); ok {
			lender.queue.end(e)
		}
		lender.retire()
		return
	}
	d.release()
	d.first.End(func() { d.registry.over(&d.Conn) })
}

func (d *detached) hand(c *Conn) {
	if lender := d.via.Load(); lender != nil {
		lender.out.hand(c)
		return
	}
	c.rules.line.hand(c)
}

func (d *detached) interrupt() {
	if lender := d.via.Load(); lender != nil {
		lender.out.interrupt()
	}
}
