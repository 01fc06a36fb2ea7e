package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/planted"
)

// Room is the fan-out of one session. While it has work one goroutine does it, in
// the order: messages of the channel, requests, reading the log where something is
// missing. All that only this goroutine touches needs no lock.
type Room struct {
	hub     *Hub
	session uuid.UUID

	mu       sync.Mutex
	inbox    [][]byte
	size     int      // bytes in the inbox
	lost     bool     // the inbox was full: read the log
	requests []func() // run by the room's goroutine
	running  bool
	dead     bool // takes nothing any more

	// What the hub's housekeeping looks at without waking the room.
	confirmed  atomic.Bool  // the subscription of the channel stands, or stood
	away       atomic.Bool  // the head could not be read: clients are stale, joins refused
	emptySince atomic.Int64 // when the last client left, Unix nanoseconds; 0 while there are clients
	heard      atomic.Int64 // when the last record came, Unix nanoseconds
	pending    atomic.Int32 // joins without an answer
	view       atomic.Pointer[Ring]

	missed   int                     // reads of the head that failed in a row; owned by the hub's check
	status   atomic.Pointer[told]    // nil: it was never stale
	events   atomic.Pointer[[]*told] // the last ones of EventTopic; never changed, but replaced
	presence atomic.Pointer[told]    // the newest announcement; nil: none yet

	// Owned by the room's goroutine.
	ring      *Ring // nil until the head is known
	verified  bool  // the log was read since the room became stale
	retiring  bool
	announced uint64
	statuses  uint64 // number of the newest status
	happened  uint64 // number of the newest event of EventTopic
	subs      []*Subscription
	readers   [formats]int // subscriptions per format
	waiting   []*join
	behind    bool // the log must be read
	crowd     crowd

	backfill backfill
}

func newRoom(h *Hub, session uuid.UUID) *Room {
	r := &Room{hub: h, session: session}
	r.emptySince.Store(time.Now().UnixNano())
	return r
}

// hear puts a channel message into the inbox. A full inbox loses it and remembers
// that the log has to be read.
func (r *Room) hear(payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead || !r.start() {
		return
	}
	if r.size+len(payload) > r.hub.cfg.InboxBytes {
		r.lost = true
		r.hub.metrics.dropped.WithLabelValues("inbox_full").Inc()
	} else {
		r.inbox = append(r.inbox, payload)
		r.size += len(payload)
	}
}

// do hands a request to the room's goroutine; false when the room is dead or the
// hub has ended.
func (r *Room) do(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead || !r.start() {
		return false
	}
	r.requests = append(r.requests, f)
	return true
}

// start makes sure that a goroutine is at work; false when the hub has ended. The
// caller holds mu.
func (r *Room) start() bool {
	if !r.running {
		r.running = r.hub.spawn(r.run)
	}
	return r.running
}

// batch is what a room found in its inbox.
type batch struct {
	messages [][]byte
	requests []func()
	lost     bool
}

func (r *Room) take() (batch, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := batch{messages: r.inbox, requests: r.requests, lost: r.lost}
	if r.dead || len(b.messages) == 0 && len(b.requests) == 0 && !b.lost {
		r.running = false
		return batch{}, false
	}
	r.inbox, r.requests, r.lost, r.size = nil, nil, false, 0
	return b, true
}

func (r *Room) run() {
	for r.hub.ctx.Err() == nil {
		b, ok := r.take()
		if !ok {
			return
		}
		for _, m := range b.messages {
			r.receive(m)
		}
		r.announce()
		for _, f := range b.requests {
			f()
		}
		r.behind = r.behind || b.lost
		r.settle()
		r.recover()
		r.retire()
	}
}

// settle reads the log if something is missing and answers the joins that can be
// answered now.
func (r *Room) settle() {
	if r.ring == nil {
		return // the check of the confirmed subscription will tell the head
	}
	read := !r.behind || r.repair()
	r.admit()
	if read && r.behind && r.repair() { // a join knew something that the room did not
		r.admit()
	}
}

// announce tells all subscriptions of the newest record, once for all that came
// together: each reads on from where it is.
func (r *Room) announce() {
	if r.ring == nil || r.announced == r.ring.Head() {
		return
	}
	r.announced = r.ring.Head()
	newest := r.ring.at(r.announced)
	if planted.Sometimes(planted.CrossWire) {
		for _, other := range r.hub.all() {
			other.do(func() { other.broadcast(newest.texts, State{}, func(*Subscription) bool { return true }) })
		}
	}
	r.spread(func(s *Subscription) { s.client.Deliver(newest.at.Version, newest.texts[s.format]) })
}

// close ends the room and all that wait for something from it.
func (r *Room) close(err error) {
	r.mu.Lock()
	r.dead = true
	left := r.requests
	r.inbox, r.requests = nil, nil
	r.mu.Unlock()
	r.hub.forget(r)
	r.use(nil)
	r.reach(true)
	for _, f := range left {
		f() // late joins and leaves; they find the room dead
	}
	for _, j := range r.waiting {
		r.answered(j)
		j.sub.end(err)
	}
	r.uncount()
	for _, s := range r.subs {
		s.end(err)
	}
	r.hub.metrics.subscriptions.Sub(float64(len(r.subs)))
	r.waiting, r.subs = nil, nil
}

// age refuses joins that waited too long and ends a room that lingered long enough.
func (r *Room) age(now time.Time) {
	r.expire(now)
	r.retiring = r.idle(now)
}

// retire ends the room if it is time and nothing has come in between.
func (r *Room) retire() {
	if !r.retiring || len(r.waiting) > 0 || r.emptySince.Load() == 0 {
		r.retiring = false
		return
	}
	r.mu.Lock()
	r.dead = len(r.requests) == 0
	dead := r.dead
	r.mu.Unlock()
	if dead {
		r.use(nil)
		r.uncount()
		r.reach(true)
		r.hub.forget(r)
	}
}

// use makes ring the one that the room appends to.
func (r *Room) use(ring *Ring) {
	r.ring = ring
	r.view.Store(ring)
	if ring != nil {
		r.announced = ring.Head()
	}
}

// idle reports whether the last client left long ago.
func (r *Room) idle(now time.Time) bool {
	empty := r.emptySince.Load()
	return empty != 0 && now.Sub(time.Unix(0, empty)) >= r.hub.cfg.Linger
}

// quiet reports whether the room has heard no record within d.
func (r *Room) quiet(now time.Time, d time.Duration) bool {
	return now.Sub(time.Unix(0, r.heard.Load())) >= d
}
