package socket_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// room is a Stream with a ring of a given size over a log that keeps everything, and a fan-out under one lock.
type room struct {
	name  string
	ring  []atomic.Pointer[entry]
	head  atomic.Uint64
	state atomic.Pointer[entry]

	mu   sync.Mutex
	subs map[*socket.Conn]socket.Slot

	logMu  sync.Mutex
	log    [][]byte
	refill chan func()
}

type entry struct {
	version uint64
	frame   []byte
}

// newRoom makes a room whose refills are served by one goroutine until the test ends.
func newRoom(tb testing.TB, name string, size int) *room {
	tb.Helper()
	r := &room{name: name, ring: make([]atomic.Pointer[entry], size), subs: map[*socket.Conn]socket.Slot{}, refill: make(chan func(), 1<<16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range r.refill {
			f()
		}
	}()
	tb.Cleanup(func() { close(r.refill); <-done })
	return r
}

func (r *room) Head() uint64 { return r.head.Load() }

func (r *room) Frame(v uint64) []byte {
	if e := r.ring[v%uint64(len(r.ring))].Load(); e != nil && e.version == v {
		return e.frame
	}
	return nil
}

func (r *room) Latest(told socket.Told) ([]byte, socket.Told) {
	if newest := r.state.Load(); newest != nil && newest.version > told[0] {
		return newest.frame, socket.Told{newest.version}
	}
	return nil, told
}

func (r *room) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	r.refill <- func() {
		r.logMu.Lock()
		frames := r.log[min(after, uint64(len(r.log))):]
		frames = frames[:min(len(frames), 100)]
		r.logMu.Unlock()
		c.Supply(slot, after+1, frames)
	}
}

// join attaches c at the head, or after a version given.
func (r *room) join(c *socket.Conn, after ...uint64) (socket.Slot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.head.Load()
	if len(after) > 0 {
		from = after[0]
	}
	slot, err := c.Attach(r, from, frame.AppendText(nil, fmt.Appendf(nil, "joined %s %d", r.name, from)))
	if err == nil {
		r.subs[c] = slot
	}
	return slot, err
}

func (r *room) leave(c *socket.Conn) {
	r.mu.Lock()
	slot, ok := r.subs[c]
	delete(r.subs, c)
	r.mu.Unlock()
	if ok {
		c.Detach(slot, frame.AppendText(nil, fmt.Appendf(nil, "left %s", r.name)))
	}
}

// commit publishes the next version with a body of size bytes: "<room> <version> <padding>".
func (r *room) commit(size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.head.Load() + 1
	text := fmt.Appendf(nil, "%s %d ", r.name, v)
	f := frame.AppendText(nil, append(text, strings.Repeat("x", size)...))
	r.logMu.Lock()
	r.log = append(r.log, f)
	r.logMu.Unlock()
	r.ring[v%uint64(len(r.ring))].Store(&entry{v, f})
	r.head.Store(v)
	for c, slot := range r.subs {
		c.Deliver(slot, v, f)
	}
}

// tell publishes an ephemeral frame and keeps it as the room's state. It returns how many connections took it.
func (r *room) tell(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := &entry{version: 1, frame: frame.AppendText(nil, []byte(text))}
	if before := r.state.Load(); before != nil {
		newest.version += before.version
	}
	r.state.Store(newest)
	n := 0
	for c, slot := range r.subs {
		if c.Ephemeral(slot, newest.frame, socket.State{Number: newest.version}) {
			n++
		}
	}
	return n
}
