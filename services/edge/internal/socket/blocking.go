package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// blocking is a connection that cannot be polled: TLS, a Unix socket, a system without epoll. Its reader is the
// goroutine that accepted it; its writer is the only one who ever works with the token, so others never wait for it.
type blocking struct {
	Conn
	handed chan struct{} // the token is with the writer; one entry, as there is one token
}

// converse opens a connection on a socket of any kind and returns when it is over. Input comes from in, which knows
// the bytes that came with the upgrade request.
func (s *Server) converse(nc net.Conn, in io.Reader, o Opening, k *Kind) {
	b := &blocking{handed: make(chan struct{}, 1)}
	s.prepare(&b.Conn, k, pipe{nc, s.cfg.StallAfter, b.handed}, patient, o.Address)
	b.client = k.Handler.Open(&b.Conn, o)
	s.registry.publish(&b.Conn)

	written := make(chan struct{})
	go func() {
		defer close(written)
		b.write()
	}()
	b.out.hand(&b.Conn)
	b.read(in)
	<-written
	s.registry.over(&b.Conn)
}

func (b *blocking) read(in io.Reader) {
	buf := make([]byte, 4<<10)
	for {
		n, err := in.Read(buf)
		b.receive(buf[:n])
		if err != nil {
			b.fail(0, ErrGone)
			return
		}
	}
}

// write does the connection's work until it is over.
func (b *blocking) write() {
	for range b.handed {
		c := &b.Conn
		if b.word.has(lent) {
			c = b.borrower.Load()
		}
		for c.pass(); !c.settled(); {
			c.pass()
		}
		if b.word.has(dead) {
			return
		}
	}
}

// pipe is any socket as the machine writes to it. A write waits for the peer, for stall at most.
type pipe struct {
	nc     net.Conn
	stall  time.Duration
	handed chan<- struct{} // of the connection's writer
}

func (p pipe) write(b []byte) (int, error) {
	return p.within(func() (int, error) { return p.nc.Write(b) })
}

func (p pipe) writev(bs [][]byte) (int, error) {
	return p.within(func() (int, error) {
		buffers := append(net.Buffers(nil), bs...)
		n, err := buffers.WriteTo(p.nc)
		return int(n), err
	})
}

func (p pipe) within(write func() (int, error)) (int, error) {
	if err := p.nc.SetWriteDeadline(time.Now().Add(p.stall)); err != nil {
		return 0, err
	}
	n, err := write()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrSlow
	}
	return n, err
}

func (p pipe) resume() bool { return true }
func (p pipe) flush()       {}

func (p pipe) shutWrite() bool {
	if half, ok := p.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	return true
}

// end closes the socket and lets the writer see it.
func (p pipe) end() {
	_ = p.nc.Close()
	select {
	case p.handed <- struct{}{}:
	default:
	}
}

// hand gives the token to the writer.
func (p pipe) hand(*Conn) { p.handed <- struct{}{} }

// interrupt makes a write that waits return, and every later one.
func (p pipe) interrupt() { _ = p.nc.SetWriteDeadline(time.Unix(1, 0)) }
