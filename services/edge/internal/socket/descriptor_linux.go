package socket

import (
	"io"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// edges are the events a connection is registered for, once, when it opens.
const edges = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// descriptor is a connection on a socket that is polled.
type descriptor struct {
	Conn
	poller *poller
	fd     int32 // -1 when closed
	again  bool  // stands in the poller's list of those that may have more
}

// adopt moves a TCP connection from the runtime's care into a poller's: a duplicate of the descriptor stays, and all
// that belongs to the original is let go. It returns false, with nothing changed, if the descriptor cannot be had.
func (s *Server) adopt(tcp *net.TCPConn, in io.Reader, o Opening, k *Kind) bool {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	fd := -1
	if e := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
		return false
	}
	early := buffered(tcp, in)
	_ = tcp.Close()
	if k.mute { // it answers no beat, but its kernel acknowledges each, or is gone
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(s.cfg.PongWithin.Milliseconds()))
	}

	d := &descriptor{poller: s.pollers[fd%len(s.pollers)], fd: int32(fd)}
	s.prepare(&d.Conn, k, d, 0, o.Address)
	d.client = k.Handler.Open(&d.Conn, o)
	d.receive(early)
	s.registry.publish(&d.Conn)
	if err := d.poller.watch(fd, place{d.index, d.gen}, edges); err != nil {
		d.fail(codeOverloaded, err)
	}
	d.work()
	return true
}

// buffered returns the bytes that came with the upgrade request: in has them, but would wait for more, so the socket
// is given a deadline that has passed.
func buffered(tcp *net.TCPConn, in io.Reader) []byte {
	if err := tcp.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil
	}
	var early []byte
	var buf [512]byte
	for {
		n, err := in.Read(buf[:])
		early = append(early, buf[:n]...)
		if err != nil || n == 0 {
			return early
		}
	}
}

func (d *descriptor) write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := send(d.fd, p)
		switch err {
		case 0:
			return n, nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

// send is send(2) without waiting. It tells the scheduler nothing: a fan-out makes thousands of calls in a row that
// never block, and the runtime's preparations for a call that might cost a fifth as much as the call. The generic
// file layer that write(2) goes through is left out, too.
func send(fd int32, p []byte) (int, unix.Errno) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	return int(n), errno
}

func (d *descriptor) writev(ps [][]byte) (int, error) {
	if len(ps) == 1 {
		return d.write(ps[0])
	}
	for {
		n, err := unix.Writev(int(d.fd), ps)
		switch err {
		case nil:
			return n, nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

func (d *descriptor) resume() bool { return true }
func (d *descriptor) flush()       {}

func (d *descriptor) shutWrite() bool {
	_ = unix.Shutdown(int(d.fd), unix.SHUT_WR)
	return true
}

func (d *descriptor) end() { d.poller.mourn(&d.Conn) }

func (d *descriptor) hand(c *Conn) { c.rules.line.hand(c) }

func (d *descriptor) interrupt() {}
