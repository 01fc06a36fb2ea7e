package socket

import "sync"

// line is the writers' line: connections, each with its token, that wait for a writer. It is as long as it must be,
// so hand never blocks; a connection can stand in it only once, because it has one token.
type line struct {
	mu          sync.Mutex
	wake        sync.Cond
	first, last *Conn
	closed      bool
}

func newLine() *line {
	l := &line{}
	l.wake.L = &l.mu
	return l
}

// hand puts c, whose token the caller gives away, at the end of the line.
func (l *line) hand(c *Conn) {
	l.mu.Lock()
	c.next = nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	l.mu.Unlock()
	l.wake.Signal()
}

// take waits for a connection. It returns nil when the line is closed and empty.
func (l *line) take() *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.first == nil {
		if l.closed {
			return nil
		}
		l.wake.Wait()
	}
	c := l.first
	if l.first = c.next; l.first == nil {
		l.last = nil
	}
	c.next = nil
	return c
}

func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake.Broadcast()
}

// write serves the line until it is closed: one pass for each connection, so that all get on.
func (l *line) write() {
	for c := l.take(); c != nil; c = l.take() {
		c.act()
	}
}
