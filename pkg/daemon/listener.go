package daemon

import (
	"net"
	"time"
)

// Impatient returns l with a deadline for each connection: its first byte must have come within the given time, else a
// read of it fails. The server behind it takes over from that byte on, with deadlines of its own. Without this, a server
// that buys memory by waiting for the first byte with nothing but the socket waits for it for ever.
func Impatient(l net.Listener, within time.Duration) net.Listener { return impatient{l, within} }

type impatient struct {
	net.Listener
	within time.Duration
}

// Accept hands out the listener's own connections, not wrapped ones: who needs the socket under it finds it.
func (l impatient) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.SetReadDeadline(time.Now().Add(l.within)) == nil {
			return c, nil
		}
		_ = c.Close() // one bad connection must not end the accepting
	}
}
