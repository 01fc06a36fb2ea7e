//go:build linux

package swarm

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/talus-tally/talus/tests/load/follow"
)

const (
	readBytes = 256 << 10
	keptErrs  = 5
)

// worker reads its connections on one goroutine. Everything below mu is under it; the goroutine holds it while it
// serves a batch of events, never while it waits.
type worker struct {
	swarm *Swarm
	set   int // epoll
	wake  int // eventfd in the set

	mu        sync.Mutex
	conns     []*conn
	rooms     map[roomKey]*follow.Room
	open      int
	stopped   bool
	errs      []error
	farewells map[string]int
	count     Counts
	latency   *hdrhistogram.Histogram
	joins     *hdrhistogram.Histogram

	buf []byte
	out []byte // the request that is being written
	now int64  // when the bytes that are being taken were read
}

type roomKey struct {
	dialect, session string
}

const wakeID = -1

func newWorker(s *Swarm) (*worker, error) {
	w := &worker{
		swarm: s, wake: -1, rooms: map[roomKey]*follow.Room{}, farewells: map[string]int{},
		latency: NewHistogram(), joins: NewHistogram(), buf: make([]byte, readBytes),
	}
	var err error
	if w.set, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		w.free()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err = w.watch(w.wake, wakeID, unix.EPOLLIN); err != nil {
		w.free()
		return nil, err
	}
	return w, nil
}

func (w *worker) watch(fd int, id int32, events uint32) error {
	if err := unix.EpollCtl(w.set, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: id}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (w *worker) free() {
	_ = unix.Close(w.set)
	if w.wake >= 0 {
		_ = unix.Close(w.wake)
	}
}

// stop makes run return after it has closed all connections.
func (w *worker) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	_, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // the counter cannot be full
}

func (w *worker) run() {
	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(w.set, events, -1)
		if err != nil && err != unix.EINTR {
			w.mu.Lock()
			w.fault(fmt.Errorf("epoll_wait: %w", err))
			w.stopped = true
			w.mu.Unlock()
		}
		if !w.serve(events[:max(n, 0)]) {
			return
		}
		if w.swarm.cfg.Nap > 0 {
			nap := unix.NsecToTimespec(int64(w.swarm.cfg.Nap))
			_ = unix.Nanosleep(&nap, nil) // a short one is no harm
		}
	}
}

// serve handles a batch of events; false means that the worker has stopped.
func (w *worker) serve(events []unix.EpollEvent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		for _, c := range w.conns {
			w.shut(c)
		}
		return false
	}
	for _, ev := range events {
		if ev.Fd == wakeID {
			continue
		}
		c := w.conns[ev.Fd]
		if c.state == dialing && ev.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			w.connected(c)
		}
		if c.state != over && c.state != dialing && !c.deaf && ev.Events&^unix.EPOLLOUT != 0 {
			w.read(c, ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
		}
	}
	return true
}

// read takes what the kernel has. A read that does not fill the buffer has emptied the socket, and the set is
// edge-triggered, so one call per event is the rule; the end of a stream, which was announced with the event, takes one
// more.
func (w *worker) read(c *conn, ends bool) {
	for {
		kept := copy(w.buf, c.rest)
		n, err := unix.Read(int(c.fd), w.buf[kept:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return
		case err != nil || n == 0:
			w.lost(c, err)
			return
		}
		w.now = time.Now().UnixNano()
		w.count.Pieces++
		w.count.Bytes += uint64(n)
		full := kept+n == len(w.buf)
		w.take(c, w.buf[:kept+n])
		if c.state == over || !full && !ends {
			return
		}
	}
}

// take feeds bytes to a connection's follower and keeps what is not complete.
func (w *worker) take(c *conn, b []byte) {
	if c.poll != nil {
		w.exchange(c, b)
		return
	}
	if c.state == asking {
		size, status, err := follow.Head(b)
		if err == nil && size > 0 && !c.room.Dialect.Accepts(status) {
			err = fmt.Errorf("refused with status %d: %.300q", status, b[size:])
		}
		if err != nil {
			w.broken(c, err)
			return
		}
		if size == 0 {
			c.rest = append(c.rest[:0], b...)
			return
		}
		c.state = live
		b = b[size:]
	}
	n, err := c.follower.Take(c.room, b, c)
	if err != nil {
		w.broken(c, err)
		return
	}
	w.keep(c, b[n:])
}

// keep keeps what is not complete.
func (w *worker) keep(c *conn, rest []byte) {
	switch {
	case len(rest) > readBytes/2:
		w.broken(c, fmt.Errorf("%w: a piece of more than %d bytes", follow.ErrGarble, readBytes/2))
	case len(rest) > 0:
		c.rest = append(c.rest[:0], rest...)
	default:
		c.rest = nil
	}
}

// broken ends a connection whose stream is wrong.
func (w *worker) broken(c *conn, err error) {
	c.wrong = true
	w.count.Wrong++
	w.fault(fmt.Errorf("session %s, %s: %w", c.room.Session, c.room.Dialect.Name(), err))
	w.shut(c)
}

// lost notes that the server has ended a connection.
func (w *worker) lost(c *conn, err error) {
	w.count.Lost++
	if err == nil {
		err = io.EOF
	}
	if !c.follower.Joined() {
		w.fault(fmt.Errorf("session %s, %s: ended before it had joined: %w", c.room.Session, c.room.Dialect.Name(), err))
	}
	w.shut(c)
	c.follower.Away()
}

func (w *worker) fault(err error) {
	if len(w.errs) < keptErrs {
		w.errs = append(w.errs, err)
	}
}

// missing counts the connections for which ok does not hold.
func (w *worker) missing(ok func(*conn) bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		if !ok(c) {
			n++
		}
	}
	return n
}

// room is where all connections of the worker that follow a session in a dialect meet.
func (w *worker) room(d follow.Dialect, session string) *follow.Room {
	key := roomKey{d.Name(), session}
	r := w.rooms[key]
	if r == nil {
		r = follow.NewRoom(session, d, w.swarm.cfg.Depth)
		w.rooms[key] = r
	}
	return r
}

// seat makes a connection that is not open.
func (w *worker) seat(target netip.AddrPort, d follow.Dialect, session string) *conn {
	c := &conn{worker: w, id: int32(len(w.conns)), fd: -1, state: over, away: true, target: target, room: w.room(d, session)}
	w.conns = append(w.conns, c)
	return c
}

func (w *worker) farewell(code int) { w.farewells[strconv.Itoa(code)]++ }
