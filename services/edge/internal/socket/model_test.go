package socket_test

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// The model runs the machine on an explicit scheduler. Every actor (a fan-out for each room, a sender of control
// frames, the kernel's events, the writers, the log, somebody who ends the connection, the peer) is a coroutine that
// stops before and after everything the machine does to the world: a write, a look at a ring's head or slot, a request
// to the log, a hand-over. The seed decides who goes on. At the end, when nobody can, everything must have arrived.

// actor is one coroutine. ready says whether it could do something.
type actor struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	ready func() bool
	works bool // it is a worker in its turn
}

// world is one run.
type world struct {
	rnd     *rand.Rand
	actors  []*actor
	current *actor
	rooms   []*modelRoom
	conn    *socket.Conn

	wire     []byte // what the peer has read
	kernel   []byte // what the kernel has accepted and the peer has not read
	capacity int
	full     bool // a write was cut short: the next reading is an event
	event    bool

	handed     []*socket.Conn
	asked      []func()
	shut       bool
	ends       int
	gone       bool // the end was sudden: the last frame may be cut
	closeAsked bool
	fault      string
	sends      int

	poll   *modelPoll   // where the connection has no socket of its own
	lender *socket.Conn // the connection whose socket it gets; nil: none
	waits  bool         // writing to the kernel may take time: only workers do it
}

func (w *world) faulty(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

func (w *world) spawn(ready func() bool, body func()) {
	a := &actor{ready: ready}
	a.next, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		a.yield = yield
		defer func() {
			if r := recover(); r != nil && r != (stopped{}) {
				panic(r)
			}
		}()
		body()
	})
	w.actors = append(w.actors, a)
}

// serve adds an actor that does its job, again and again, whenever there is one. In the middle of it it can always go on.
func (w *world) serve(has func() bool, job func()) {
	w.spawn(has, func() {
		for self := w.current; ; {
			self.ready = nil
			job()
			self.ready = has
			w.pause()
		}
	})
}

// pause lets the scheduler choose again.
func (w *world) pause() {
	if !w.current.yield(struct{}{}) {
		panic(stopped{})
	}
}

// stopped unwinds an actor when the run is over.
type stopped struct{}

// run schedules until nobody can go on.
func (w *world) run() {
	defer func() {
		for _, a := range w.actors {
			a.stop()
		}
	}()
	for steps := 0; w.fault == ""; steps++ {
		var ready []*actor
		for _, a := range w.actors {
			if a.ready == nil || a.ready() {
				ready = append(ready, a)
			}
		}
		if len(ready) == 0 {
			return
		}
		if steps > 20000 {
			w.faulty("the machine does not come to rest")
			return
		}
		w.current = ready[w.rnd.IntN(len(ready))]
		if _, more := w.current.next(); !more {
			w.current.ready = func() bool { return false }
		}
	}
}

// Write is the kernel taking some of p.
func (w *world) Write(p []byte) int {
	w.pause()
	if w.shut || w.ends > 0 {
		w.faulty("a write after the end of the stream")
	}
	if w.waits && !w.current.works {
		w.faulty("a write that may wait by somebody who may not")
	}
	n := min(len(p), w.capacity-len(w.kernel))
	if n > 0 && w.rnd.IntN(4) == 0 {
		n = w.rnd.IntN(n + 1)
	}
	w.kernel = append(w.kernel, p[:n]...)
	w.full = w.full || n < len(p)
	w.pause()
	return n
}

func (w *world) ShutWrite() { w.shut = true }
func (w *world) End()       { w.ends++ }

// read is the peer reading some bytes.
func (w *world) read() {
	n := 0
	if len(w.kernel) > 0 {
		n = 1 + w.rnd.IntN(len(w.kernel))
	}
	w.wire = append(w.wire, w.kernel[:n]...)
	w.kernel = w.kernel[n:]
	if w.full {
		w.full, w.event = false, true
	}
}

// newWorld draws a configuration and its actors from the seed.
func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 2))}
	w.capacity = 1 + w.rnd.IntN(12)
	hand := func(c *socket.Conn) { w.handed = append(w.handed, c); w.pause() }
	if bytes := 1 + w.rnd.IntN(30); w.rnd.IntN(2) == 0 {
		w.conn = socket.NewMachine(w, hand, func(*socket.Conn) {}, bytes)
	} else {
		w.detach(hand, bytes)
	}
	for id := range 1 + w.rnd.IntN(3) {
		size := []int{1, 2, 64}[w.rnd.IntN(3)]
		r := &modelRoom{w: w, id: byte(id), ring: make([][]byte, size), ringAt: make([]uint64, size)}
		w.rooms = append(w.rooms, r)
		w.spawn(nil, func() { r.act(1 + w.rnd.IntN(8)) })
	}
	w.spawn(nil, func() {
		for range w.rnd.IntN(4) {
			w.pause()
			if w.conn.Send(modelFrame(4+w.rnd.IntN(3), 0xC0, 'c', w.sends+1)) == nil {
				w.sends++
			}
		}
	})
	w.populate()
	switch w.rnd.IntN(4) {
	case 0:
		w.spawn(nil, func() { w.end(w.conn.Drain) })
	case 1:
		w.spawn(nil, func() { w.end(w.conn.Close) })
	}
	return w
}

// populate adds the actors that every world has.
func (w *world) populate() {
	w.serve(func() bool { return w.event }, func() {
		w.event = false
		w.pause()
		w.socket().Drained()
	})
	for range 2 {
		w.serve(func() bool { return len(w.handed) > 0 }, func() {
			c := w.handed[0]
			w.handed = w.handed[1:]
			w.pause()
			if !w.works(c) {
				w.handed = append(w.handed, c)
			}
		})
	}
	w.serve(func() bool { return len(w.asked) > 0 }, func() {
		ask := w.asked[0]
		w.asked = w.asked[1:]
		ask()
	})
	w.serve(func() bool { return len(w.kernel) > 0 || w.full }, w.read)
}

// end closes the connection at some moment, and sometimes the peer is gone before that has gone well.
func (w *world) end(how func(code int, reason string)) {
	for range w.rnd.IntN(30) {
		w.pause()
	}
	w.closeAsked = true
	how(4000, "")
	if w.rnd.IntN(2) == 0 {
		for range w.rnd.IntN(30) {
			w.pause()
		}
		w.gone = true
		w.conn.PeerIsGone()
	}
}
