package hub

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
)

// errBranch says that the log does not contain the room's head: the room must find
// out first.
var errBranch = errors.New("hub: the log is not on the room's branch")

// retryPause is how long the backfill waits after a failed read.
const retryPause = 100 * time.Millisecond

// request is a client that stands below the ring: one that joins there and has to
// prove its position, or one that fell off and waits for frames.
type request struct {
	ring   *Ring
	at     wire.Position // only the version counts unless the join is proven
	join   *join         // nil: a refill
	sub    *Subscription
	supply func(first uint64, frames [][]byte)
}

// backfill reads old commits for the clients of one room. One goroutine does it
// while there are requests, from the lowest position upwards, so that clients that
// need the same commits share one read of them.
type backfill struct {
	mu       sync.Mutex
	requests []request
	running  bool
	last     *chunk // most recently read; a client that has proved its position needs it next
	used     bool   // last was used since the previous trim
}

// Refill asks for the frames after a version that has left the ring. supply is
// called by the room's goroutine with the frames of first, first+1, …; no frames
// mean that the ring should be looked at again. Where the log cannot help, the client's
// Start is called instead. It never blocks.
func (s *Subscription) Refill(ring *Ring, after uint64, supply func(first uint64, frames [][]byte)) {
	s.room.ask(request{ring: ring, at: wire.Position{Version: after}, sub: s, supply: supply})
}

// prove has the log decide whether a join's position lies on the chain.
func (r *Room) prove(j *join) {
	r.ask(request{ring: r.ring, at: j.after.Position, join: j, sub: j.sub})
}

func (r *Room) ask(q request) {
	b := &r.backfill
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, q)
	if !b.running {
		b.running = r.hub.spawn(r.fill)
	}
}

// trim lets go of the kept chunk when nobody has used it since the last call.
func (b *backfill) trim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.used {
		b.last = nil
	}
	b.used = false
}

// take empties the list of requests into waiting; with nothing left to do it ends
// the backfill and returns none.
func (b *backfill) take(waiting []request, end bool) ([]request, *chunk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting = append(waiting, b.requests...)
	b.requests = nil
	if end && len(waiting) == 0 {
		b.running = false
	}
	return waiting, b.last
}

// fill answers requests until there are none.
func (r *Room) fill() {
	for waiting := []request(nil); ; {
		var kept *chunk
		var err error
		if waiting, kept = r.backfill.take(waiting, true); len(waiting) == 0 || r.hub.ctx.Err() != nil {
			return
		}
		if waiting, err = r.trip(waiting, kept); err == nil {
			continue
		}
		r.hub.log.Debug("old commits cannot be read", "session", r.session, "err", err)
		select {
		case <-time.After(retryPause):
		case <-r.hub.ctx.Done():
		}
	}
}

// trip goes once through the log from the lowest request upwards, like a lift: who
// asks meanwhile for something further up is taken along, so that clients which
// read one chunk after the other share them all. It returns the requests that wait
// for the next trip.
func (r *Room) trip(waiting []request, c *chunk) ([]request, error) {
	for floor := uint64(0); ; {
		ring := r.view.Load()
		waiting, _ = r.backfill.take(waiting, false)
		waiting = slices.DeleteFunc(waiting, func(q request) bool {
			return q.ring != ring || q.sub.over.Load() // sent to another ring meanwhile, or gone
		})
		slices.SortFunc(waiting, func(a, b request) int { return cmp.Compare(a.at.Version, b.at.Version) })
		next := slices.IndexFunc(waiting, func(q request) bool { return q.at.Version >= floor })
		if next < 0 {
			return waiting, nil
		}
		end := next
		if c == nil || !c.serves(waiting[next]) {
			var err error
			if c, err = r.readChunk(ring, waiting[next].at.Version); err != nil {
				return waiting, err
			}
			r.serve(c, waiting[next]) // also when there is nothing: the log says so
			floor = max(floor, waiting[next].at.Version)
			end++
		}
		for end < len(waiting) && c.serves(waiting[end]) {
			r.serve(c, waiting[end])
			end++
		}
		waiting = slices.Delete(waiting, next, end)
		r.settled()
	}
}

// settled waits until the room's goroutine has carried out what it was asked, so
// that those who were served can ask for the next chunk before it is read.
func (r *Room) settled() {
	done := make(chan struct{})
	if r.do(func() { close(done) }) {
		select {
		case <-done:
		case <-r.hub.ctx.Done():
		}
	}
}

// supply hands over frames, on the room's goroutine: so they cannot come after the
// client was sent to another branch.
func (r *Room) supply(q request, frames [][]byte) {
	if r.ring == q.ring && !q.sub.over.Load() {
		q.supply(q.at.Version+1, frames)
	}
}

// refuse has the room send the request's client to the head.
func (r *Room) refuse(q request, reason Reason) {
	r.do(func() { r.decided(q, wire.Position{}, reason) })
}

// decided carries out, on the room's goroutine, what the backfill found.
func (r *Room) decided(q request, at wire.Position, reason Reason) {
	if r.ring != q.ring || q.sub.over.Load() {
		return // the join is judged again; the subscription has been sent to the new ring
	}
	if reason != "" {
		at = r.ring.tip
	}
	if q.join == nil {
		r.hub.metrics.resyncs.WithLabelValues(string(reason)).Inc()
		q.sub.client.Start(Start{Sub: q.sub, Ring: r.ring, Position: at, Reason: reason})
		return
	}
	if len(r.drop(func(j *join) bool { return j == q.join })) > 0 {
		r.begin(q.join, at, reason)
	}
}
