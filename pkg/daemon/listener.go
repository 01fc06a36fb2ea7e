package daemon

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// farewell is how long a connection that has said nothing may still begin to speak when its listener is closed: its
// request may be on the way.
const farewell = 200 * time.Millisecond

// Listener bounds silence. The first byte of a connection must have come within a given time, else a read of it fails, and
// when the listener is closed, soon. The server behind it takes over from that byte on, with deadlines of its own.
//
// Without this, a server that buys memory by waiting for the first byte with nothing but the socket waits for it for ever;
// and a server that counts a connection as busy before its first byte waits for one that was opened in advance, as browsers
// and pools of connections do, when it is to stop.
type Listener struct {
	net.Listener
	within time.Duration

	mu     sync.Mutex
	closed bool
	silent map[*conn]struct{} // those that have said nothing yet
}

// Impatient returns a listener on l for which connections must begin to speak within the given time.
func Impatient(l net.Listener, within time.Duration) *Listener {
	return &Listener{Listener: l, within: within, silent: make(map[*conn]struct{})}
}

// Accept waits for the next connection. Its NetConn method gives the connection of the listener under this one.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		bare, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: bare, listener: l}
		l.mu.Lock()
		l.silent[c] = struct{}{}
		l.mu.Unlock()
		if c.SetReadDeadline(time.Now().Add(l.within)) == nil {
			return c, nil
		}
		_ = c.Close() // one bad connection must not end the accepting
	}
}

// Close stops accepting and lets the connections go that say nothing.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for c := range l.silent {
		_ = c.hurry() // a connection that takes no deadline is closed already
	}
	return err
}

// conn is a connection of a Listener.
type conn struct {
	net.Conn
	listener *Listener
	known    atomic.Bool // it has spoken, since it was accepted or has rested, or was closed
}

// NetConn is the connection under this one.
func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.forget()
	}
	return n, err
}

func (c *conn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// SetReadDeadline gives no silent connection more time than its closed listener does.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.known.Load() {
		return c.Conn.SetReadDeadline(t)
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if _, silent := c.listener.silent[c]; silent && c.listener.closed {
		return c.hurry()
	}
	return c.Conn.SetReadDeadline(t)
}

// Rest makes a connection silent again, as it was when it was accepted: its next byte must come within the given time, and
// soon when the listener is closed. If it is closed already the error is net.ErrClosed. Nobody reads from it meanwhile.
func (c *conn) Rest(within time.Duration) error {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.listener.closed {
		return net.ErrClosed
	}
	c.listener.silent[c] = struct{}{}
	c.known.Store(false)
	return c.Conn.SetReadDeadline(time.Now().Add(within))
}

// hurry sets the last deadline of a silent connection. The listener's mutex is held: setting a deadline does not block.
func (c *conn) hurry() error { return c.Conn.SetReadDeadline(time.Now().Add(farewell)) }

func (c *conn) forget() {
	if c.known.Load() {
		return
	}
	c.listener.mu.Lock()
	delete(c.listener.silent, c)
	c.listener.mu.Unlock()
	c.known.Store(true)
}
