package socket

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	scratchBytes  = 64 << 10
	readsPerEvent = 8          // then others get their turn
	wakeIndex     = ^uint32(0) // the place of the poller's own event
)

// poller reads from many connections on one goroutine. Its epoll set is itself watched by the Go runtime, so an idle
// poller costs no thread.
type poller struct {
	registry *registry
	set      *os.File // the epoll descriptor
	raw      syscall.RawConn
	wake     int // an eventfd in the set
	stopping atomic.Bool

	mu     sync.Mutex
	corpse *Conn // connections whose machine is done, linked by next

	// Of the run goroutine.
	scratch []byte
	events  []unix.EpollEvent
	places  []place
	masks   []uint32
	found   []*Conn
	again   []*descriptor // read readsPerEvent times, and may have more
}

func newPollers(cfg Config, reg *registry) ([]*poller, error) {
	if cfg.Blocking {
		return nil, nil
	}
	var pollers []*poller
	for range cfg.Pollers {
		p, err := newPoller(reg)
		if err != nil {
			for _, p := range pollers {
				p.free()
			}
			return nil, err
		}
		pollers = append(pollers, p)
	}
	return pollers, nil
}

func newPoller(reg *registry) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime watches the set
		_ = unix.Close(fd)
		return nil, fmt.Errorf("set epoll descriptor non-blocking: %w", err)
	}
	p := &poller{
		registry: reg, set: os.NewFile(uintptr(fd), "epoll"),
		scratch: make([]byte, scratchBytes), events: make([]unix.EpollEvent, 256),
	}
	if p.raw, err = p.set.SyscallConn(); err != nil {
		return nil, err
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		_ = p.set.Close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := p.watch(p.wake, place{index: wakeIndex}, unix.EPOLLIN|unix.EPOLLET); err != nil {
		p.free()
		return nil, err
	}
	return p, nil
}

// watch registers fd. The event carries the place, never the descriptor.
func (p *poller) watch(fd int, at place, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(at.index), Pad: int32(at.gen)}
	var err error
	if e := p.raw.Control(func(set uintptr) { err = unix.EpollCtl(int(set), unix.EPOLL_CTL_ADD, fd, &ev) }); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (p *poller) free() {
	_ = p.set.Close()
	_ = unix.Close(p.wake)
}

// run serves the set until stop is called.
func (p *poller) run() error {
	defer p.free()
	err := p.raw.Read(func(set uintptr) bool {
		for {
			n, err := unix.EpollWait(int(set), p.events, 0)
			if err == unix.EINTR {
				continue
			}
			if n <= 0 && len(p.again) == 0 {
				return p.stopping.Load()
			}
			p.serve(p.events[:max(n, 0)])
		}
	})
	if err != nil {
		return fmt.Errorf("socket: poll: %w", err)
	}
	return nil
}

// stop makes run return. All connections must be over.
func (p *poller) stop() {
	p.stopping.Store(true)
	p.ring()
}

func (p *poller) ring() {
	_, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// serve handles one batch of events.
func (p *poller) serve(events []unix.EpollEvent) {
	p.places, p.masks, p.found = p.places[:0], p.masks[:0], p.found[:0]
	woken := false
	for _, ev := range events {
		if at := (place{uint32(ev.Fd), uint32(ev.Pad)}); at.index == wakeIndex {
			woken = true
		} else {
			p.places, p.masks = append(p.places, at), append(p.masks, ev.Events)
		}
	}
	more := p.again
	p.again = nil
	p.found = p.registry.find(p.found, p.places)
	for i, c := range p.found {
		if c != nil {
			p.event(c, p.masks[i])
		}
	}
	for _, d := range more {
		d.again = false
		p.read(d)
	}
	clear(p.found)
	if woken {
		var count [8]byte
		_, _ = unix.Read(p.wake, count[:])
		p.bury()
	}
}

// event handles what the kernel said of one connection.
func (p *poller) event(c *Conn, mask uint32) {
	d, ok := c.out.(*descriptor)
	if !ok || d.fd < 0 {
		return
	}
	if mask&unix.EPOLLOUT != 0 {
		c.speaker().drained()
	}
	if mask&^unix.EPOLLOUT != 0 {
		p.read(d)
	}
}

// read takes what the kernel has, in bounds, and feeds it to the connection.
func (p *poller) read(d *descriptor) {
	if d.fd < 0 || d.again {
		return
	}
	for range readsPerEvent {
		n, err := unix.Read(int(d.fd), p.scratch)
		switch {
		case n > 0:
			d.receive(p.scratch[:n])
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
		default:
			d.fail(0, ErrGone)
			return
		}
	}
	d.again = true
	p.again = append(p.again, d)
}

// mourn takes a connection whose machine is done. The holder of its token, which is never given back, calls it.
func (p *poller) mourn(c *Conn) {
	p.mu.Lock()
	first := p.corpse == nil
	c.next = p.corpse
	p.corpse = c
	p.mu.Unlock()
	if first {
		p.ring()
	}
}

// bury closes the sockets of the dead. It is the only place that closes one, on the only goroutine that reads it.
func (p *poller) bury() {
	p.mu.Lock()
	c := p.corpse
	p.corpse = nil
	p.mu.Unlock()
	for c != nil {
		next := c.next
		c.next = nil
		if d, ok := c.out.(*descriptor); ok {
			_ = unix.Close(int(d.fd))
			d.fd = -1
		}
		p.registry.over(c)
		c = next
	}
}
