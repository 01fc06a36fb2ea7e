package hub

import (
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

// Reason says why a client cannot go on from where it was (api.md, part 8).
type Reason string

// The reasons of a resync.
const (
	Trimmed  Reason = "trimmed"  // the log no longer reaches back so far
	Epoch    Reason = "epoch"    // the position is of another incarnation of the id
	Ahead    Reason = "ahead"    // the log ends before the position
	Fork     Reason = "fork"     // the position is on a branch that did not survive
	Large    Reason = "large"    // a commit is too large to send
	Unproven Reason = "unproven" // the position cannot be compared with the chain
)

// Start is where a subscription begins or, after a resync, goes on: the next
// commit is Position.Version+1 and follows Position.
type Start struct {
	Sub      *Subscription
	Ring     *Ring
	Position wire.Position
	Resumed  bool   // the commits after the client's own position follow
	Clients  int    // of the session on all edges, with this one; not set for a resync
	Reason   Reason // not empty: the client must fetch the graph at Position or later
}

// Client is the far end of a subscription: a connection, as one room sees it. Its
// methods do not block. They are called one at a time, each after the one before it has
// returned; those of different clients may be called at once.
type Client interface {
	// Start is called first, when the client has joined, and again for each resync.
	// Nothing falls between the start and the first Deliver.
	Start(Start)
	// Deliver says that version is in the ring; frame is its bytes in the client's
	// format. Versions ascend, and one call may stand for several versions.
	Deliver(version uint64, frame []byte)
	// Event hands over a frame without a version, in the client's format. Only a client that is up to date
	// may get it; others never do. Who missed a state finds it, or a newer one, in Subscription.Latest; nobody may
	// be told a state twice, or an older one after it.
	Event(frame []byte, state State)
	// Own hands over the announcement of the client's own coming, once, some time after
	// Start: the first state of its topic. It must reach the client whether it is up to date or not.
	Own(frame []byte, state State)
	// ID names the client in announcements. It never changes.
	ID() uuid.UUID
	// Ended is the last call: nil when the subscription was left, else ErrNoSession,
	// which ErrLost wraps, or ErrUnavailable.
	Ended(err error)
}

// Subscription is one client in one room.
type Subscription struct {
	client Client
	format Format
	room   *Room

	index int // place in the room's list plus 1; 0: not there; owned by the room's goroutine
	over  atomic.Bool

	ticket uint64 // not 0: the client was not told about itself; owned by the room's goroutine

	// Fixed when the client starts.
	counted bool   // it will be told about itself, and about others after that
	status  uint64 // the newest status by then, which it need not be told
	events  uint64 // the newest event without a version by then, likewise
}

// Leave ends the subscription. The client's Ended follows, unless it has been
// called already. It never blocks.
func (s *Subscription) Leave() {
	if s.room != nil {
		s.room.do(func() { s.room.leave(s) })
	}
}

func (s *Subscription) end(err error) {
	if s.over.CompareAndSwap(false, true) {
		s.index = 0
		s.client.Ended(err)
	}
}

// join is a client that waits for its start.
type join struct {
	sub     *Subscription
	after   After
	since   time.Time
	checked bool // the log has been read since the join came
	asked   bool // the backfill is looking for the position
}

func (r *Room) join(s *Subscription, after After) {
	if r.ring == nil && r.isDead() {
		s.end(ErrNoSession)
		return
	}
	if r.away.Load() {
		r.hub.metrics.joins.WithLabelValues("unavailable").Inc()
		s.end(ErrUnavailable)
		return
	}
	r.count()
	r.pending.Add(1)
	r.waiting = append(r.waiting, &join{sub: s, after: after, since: time.Now()})
}

func (r *Room) isDead() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dead
}

// admit answers the waiting joins that the room can judge. A refusal to resume
// needs a read of the log that began after the join came: the client may simply
// know more than this room.
func (r *Room) admit() {
	if r.ring == nil || !r.counted() {
		return
	}
	still := r.waiting[:0]
	for _, j := range r.waiting {
		if j.asked {
			still = append(still, j)
			continue
		}
		reason, known := r.judge(j.after)
		switch {
		case !known:
			j.asked = true
			r.prove(j)
			still = append(still, j)
		case reason != "" && !j.checked:
			r.behind = true
			still = append(still, j)
		default:
			r.begin(j, r.position(j.after, reason), reason)
		}
	}
	clear(r.waiting[len(still):])
	r.waiting = still
}

// judge decides whether a client can go on after its position: reason is empty if
// so. It is not known if only the log can tell.
func (r *Room) judge(a After) (reason Reason, known bool) {
	tip := r.ring.tip
	digest, held := r.ring.digest(a.Position.Version)
	switch {
	case !a.Given:
		return "", true
	case (a.Proven || a.Position.Epoch != 0) && a.Position.Epoch != tip.Epoch:
		return Epoch, true
	case a.Position.Version > tip.Version:
		return Ahead, true
	case !held:
		return "", false
	case a.Proven && digest != a.Position.Digest && !planted.Is(planted.IgnoreDigest):
		return Fork, true
	default:
		return "", true
	}
}

// position is the state from which a client that was judged goes on.
func (r *Room) position(a After, reason Reason) wire.Position {
	if !a.Given || reason != "" {
		return r.ring.tip
	}
	digest, _ := r.ring.digest(a.Position.Version)
	return wire.Position{Epoch: r.ring.tip.Epoch, Version: a.Position.Version, Digest: digest}
}

// begin makes a join a subscription.
func (r *Room) begin(j *join, at wire.Position, reason Reason) {
	if planted.Is(planted.ResumeLater) && j.after.Given && at.Version < r.ring.tip.Version {
		at.Version++
	}
	r.answered(j)
	r.subs = append(r.subs, j.sub)
	j.sub.index = len(r.subs)
	if r.readers[j.sub.format]++; r.readers[j.sub.format] == 1 {
		r.ring.open(j.sub.format)
		r.open(j.sub.format)
	}
	r.emptySince.Store(0)
	r.hub.metrics.subscriptions.Inc()
	r.hub.metrics.joined(j.after, reason)
	clients := r.enter(j.sub)
	j.sub.counted, j.sub.status, j.sub.events = j.sub.ticket != 0, r.statuses, r.happened
	j.sub.client.Start(Start{
		Sub: j.sub, Ring: r.ring, Position: at, Resumed: j.after.Given && reason == "", Clients: clients, Reason: reason,
	})
}

// answered notes that a join waits no more.
func (r *Room) answered(j *join) {
	r.pending.Add(-1)
	r.hub.metrics.joinWait.Observe(time.Since(j.since).Seconds())
}

// leave takes a subscription out of the room, or a join out of the waiting ones.
func (r *Room) leave(s *Subscription) {
	if s.over.Load() {
		return
	}
	if s.index > 0 {
		r.hub.metrics.subscriptions.Dec()
		r.exit(s)
		r.readers[s.format]--
		last := r.subs[len(r.subs)-1]
		r.subs[s.index-1], last.index = last, s.index
		r.subs[len(r.subs)-1] = nil
		r.subs = r.subs[:len(r.subs)-1]
	} else {
		r.drop(func(j *join) bool { return j.sub == s })
	}
	s.end(nil)
	if len(r.subs) == 0 {
		r.emptySince.Store(time.Now().UnixNano())
	}
}

// expire refuses the joins that have waited for Redis too long.
func (r *Room) expire(now time.Time) {
	r.turnAway(func(j *join) bool { return now.Sub(j.since) >= r.hub.cfg.JoinTimeout })
}

// turnAway refuses the waiting joins that match: the client may try again later.
func (r *Room) turnAway(match func(*join) bool) {
	for _, j := range r.drop(match) {
		r.hub.metrics.joins.WithLabelValues("unavailable").Inc()
		j.sub.end(ErrUnavailable)
	}
}

// drop takes the waiting joins that match out of the list.
func (r *Room) drop(match func(*join) bool) []*join {
	var out []*join
	still := r.waiting[:0]
	for _, j := range r.waiting {
		if match(j) {
			r.answered(j)
			out = append(out, j)
		} else {
			still = append(still, j)
		}
	}
	clear(r.waiting[len(still):])
	r.waiting = still
	return out
}
