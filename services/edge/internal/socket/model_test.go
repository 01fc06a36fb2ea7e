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

	handed          []*socket.Conn
	asked           []func()
	shut            bool
	ends            int
	gone            bool // the end was sudden: the last frame may be cut
	closeAsked      bool
	fault           string
	sends, tellings int
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

// modelRoom is a room: a ring, a log, and the rule that all it does to a connection is done by one actor.
type modelRoom struct {
	w      *world
	id     byte
	ring   [][]byte
	ringAt []uint64
	log    [][]byte
	head   uint64
	state  []byte
	slot   socket.Slot
	joined bool
}

func (r *modelRoom) Head() uint64 {
	r.w.pause()
	h := r.head
	r.w.pause()
	return h
}

func (r *modelRoom) Frame(v uint64) []byte {
	r.w.pause()
	if i := v % uint64(len(r.ring)); r.ringAt[i] == v {
		return r.ring[i]
	}
	return nil
}

func (r *modelRoom) Latest() []byte { r.w.pause(); return r.state }

func (r *modelRoom) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	r.w.pause()
	r.w.asked = append(r.w.asked, func() {
		first := after + 1
		if first > 1 && r.w.rnd.IntN(4) == 0 {
			first-- // one that the slot has already
		}
		frames := r.log[first-1:]
		frames = frames[:r.w.rnd.IntN(len(frames)+1)]
		c.Supply(slot, first, frames)
	})
}

// A frame of the model: its length, who it is of, what it is, a number, padding of its number.
func modelFrame(length int, of, what byte, number int) []byte {
	f := []byte{byte(length), of, what, byte(number)}
	for len(f) < length {
		f = append(f, byte(number))
	}
	return f
}

// act is the room's life: commits, ephemeral frames, joins and leaves in an order of chance; at the end it is joined.
func (r *modelRoom) act(steps int) {
	for i := range steps {
		r.w.pause()
		switch k := r.w.rnd.IntN(10); {
		case k < 6:
			r.commit()
		case k < 8:
			r.state = modelFrame(4+r.w.rnd.IntN(3), r.id, 'e', i)
			if r.joined {
				r.w.conn.Ephemeral(r.slot, r.state)
			}
		default:
			r.toggle()
		}
	}
	if !r.joined {
		r.toggle()
	}
}

func (r *modelRoom) commit() {
	r.head++
	f := modelFrame(4+r.w.rnd.IntN(3), r.id, 'r', int(r.head))
	r.log = append(r.log, f)
	i := r.head % uint64(len(r.ring))
	r.ring[i], r.ringAt[i] = f, r.head
	r.w.pause()
	if r.joined {
		r.w.conn.Deliver(r.slot, r.head, f)
	}
}

func (r *modelRoom) toggle() {
	if r.joined {
		r.joined = false
		r.w.conn.Detach(r.slot, modelFrame(4, r.id, 'l', 0))
		return
	}
	after := r.head - uint64(r.w.rnd.IntN(int(min(r.head, 3))+1))
	slot, err := r.w.conn.Attach(r, after, modelFrame(4, r.id, 'j', int(after)))
	if err == nil {
		r.slot, r.joined = slot, true
	}
}

// newWorld draws a configuration and its actors from the seed.
func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 2))}
	w.capacity = 1 + w.rnd.IntN(12)
	w.conn = socket.NewMachine(w,
		func(c *socket.Conn) { w.handed = append(w.handed, c); w.pause() },
		func(*socket.Conn) {}, 1+w.rnd.IntN(30))
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
	w.serve(func() bool { return w.event }, func() {
		w.event = false
		w.pause()
		w.conn.Drained()
	})
	for range 2 {
		w.serve(func() bool { return len(w.handed) > 0 }, func() {
			c := w.handed[0]
			w.handed = w.handed[1:]
			w.pause()
			if !c.Pass() {
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
	switch w.rnd.IntN(4) {
	case 0:
		w.spawn(nil, func() { w.end(w.conn.Drain) })
	case 1:
		w.spawn(nil, func() { w.end(w.conn.Close) })
	}
	return w
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
