package relay

import (
	"context"
	"net"
	"sync"
)

// lines are the connections to other edges on which answers are waited for, or will be.
type lines struct {
	mu   sync.Mutex
	open map[*line]struct{}
	cut  bool // all of them, and none is opened any more
}

// line is one of them.
type line struct {
	net.Conn
	of *lines
}

// NetConn is the connection under this one.
func (l *line) NetConn() net.Conn { return l.Conn }

// Close ends the line.
func (l *line) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}

// add makes a line of a connection, unless they have been cut.
func (ls *lines) add(conn net.Conn) (net.Conn, bool) {
	l := &line{Conn: conn, of: ls}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.cut {
		return nil, false
	}
	ls.open[l] = struct{}{}
	return l, true
}

// end cuts all lines: whoever waits for an answer gets an error.
func (ls *lines) end() {
	ls.mu.Lock()
	open := ls.open
	ls.open, ls.cut = nil, true
	ls.mu.Unlock()
	for l := range open {
		_ = l.Conn.Close() // the owner of the line closes it again
	}
}

// dial opens a line to another edge.
func (r *Relay) dial(address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(r.life, dialBound)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l, ok := r.lines.add(conn)
	if !ok {
		_ = conn.Close() // nothing was sent
		return nil, net.ErrClosed
	}
	return l, nil
}

// HangUp ends what is passed on and has not been answered, and lets nothing more be passed on: the sessions of other edges
// are unknown from now on, and their clients come back over one that stays.
func (r *Relay) HangUp() {
	r.end()
	r.lines.end()
}
