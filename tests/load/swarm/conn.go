//go:build linux

package swarm

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/talus-tally/talus/tests/load/follow"
)

// state is where a connection stands.
type state uint8

const (
	dialing state = iota // the kernel connects
	asking               // the request is out
	live                 // the stream has begun
	over                 // there is no socket
)

// conn is one connection; all of it is under its worker's mutex.
type conn struct {
	worker   *worker
	room     *follow.Room
	follower follow.Follower
	rest     []byte // the beginning of a piece whose end has not arrived
	poll     *poll  // of a connection whose stream comes in answers to requests
	target   netip.AddrPort
	began    int64 // when it was dialed
	id       int32
	fd       int32
	state    state
	opening  bool // it holds a token of Swarm.pending
	away     bool // closed by us, or never opened
	wrong    bool // closed by us because its stream was wrong
	deaf     bool // reads nothing
}

// dial begins a connection.
func (w *worker) dial(c *conn) {
	c.opening, c.away, c.wrong, c.rest = true, false, false, nil
	if _, ok := c.room.Dialect.(follow.Exchange); ok {
		c.poll = &poll{}
	}
	c.began = time.Now().UnixNano()
	fd, err := w.socket(c)
	if err != nil {
		w.broken(c, err)
		return
	}
	c.fd, c.state = int32(fd), dialing
	w.open++
	if err = w.watch(fd, c.id, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET); err != nil {
		w.broken(c, err)
	}
}

// socket makes a socket that connects.
func (w *worker) socket(c *conn) (int, error) {
	family := unix.AF_INET
	if !c.target.Addr().Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err = w.prepare(fd, c); err == nil {
		err = unix.Connect(fd, address(c.target))
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect %s: %w", c.target, err)
	}
	return fd, nil
}

// prepare sets what must be set before a socket connects. Loopback targets are called from several loopback addresses,
// so that the ports of one do not run out.
func (w *worker) prepare(fd int, c *conn) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if n := w.swarm.cfg.ReceiveBuffer; n > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n); err != nil {
			return err
		}
	}
	if !c.target.Addr().Is4() || !c.target.Addr().IsLoopback() {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + int(c.id)%w.swarm.cfg.Sources)}})
}

func address(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// connected sends the request once the kernel has connected.
func (w *worker) connected(c *conn) {
	if code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		w.broken(c, fmt.Errorf("connect %s: %w", c.target, unix.Errno(code)))
		return
	}
	c.state = asking
	c.send(c.room.Dialect.Request(c.target.String(), c.room.Session, c.follower.Position(c.room)))
}

// send writes a few bytes; a socket that cannot take them is broken.
func (c *conn) send(b []byte) {
	n, err := unix.Write(int(c.fd), b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		c.worker.broken(c, fmt.Errorf("write: %w", err))
	}
}

// shut closes the socket, if there is one.
func (w *worker) shut(c *conn) {
	w.settle(c)
	if c.fd >= 0 {
		_ = unix.Close(int(c.fd))
		c.fd = -1
		w.open--
	}
	c.state, c.rest = over, nil
}

// settle gives the token of an opening connection back.
func (w *worker) settle(c *conn) {
	if c.opening {
		c.opening = false
		<-w.swarm.pending
	}
}

// deafen leaves a connection open and unread.
func (w *worker) deafen(c *conn) {
	c.deaf = true
	_ = unix.EpollCtl(w.set, unix.EPOLL_CTL_DEL, int(c.fd), nil)
}

// Joined implements follow.Sink.
func (c *conn) Joined(resumed bool) {
	w := c.worker
	w.count.Joined++
	if resumed {
		w.count.Resumed++
	}
	Record(w.joins, w.now-c.began)
	w.settle(c)
}

// Commit implements follow.Sink.
func (c *conn) Commit(_ uint64, due int64) {
	w := c.worker
	w.count.Deliveries++
	if due != 0 {
		Record(w.latency, w.now-due)
	}
}

// Answer implements follow.Sink.
func (c *conn) Answer(b []byte) {
	if c.poll != nil {
		c.poll.keep(b)
		return
	}
	c.send(b)
}

// Farewell implements follow.Sink.
func (c *conn) Farewell(code int) {
	c.worker.farewell(code)
	if c.poll != nil {
		c.poll.ends = true
	}
}
