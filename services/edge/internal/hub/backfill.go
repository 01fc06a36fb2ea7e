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

// chunk is a part of the log: contiguous frames, the first perhaps only there to
// prove a position.
type chunk struct {
	ring   *Ring
	frames []*frame
	native [][]byte // the frames' bytes; nil for a commit that is too large to send
}

// Refill asks for the frames after a version that has left the ring. supply is
// called with the frames of first, first+1, … by another goroutine; no frames mean
// that the ring should be looked at again. Where the log cannot help, the client's
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

// fill answers requests until there are none.
func (r *Room) fill() {
	b := &r.backfill
	for {
		b.mu.Lock()
		requests, kept := b.requests, b.last
		b.requests = nil
		b.running = len(requests) > 0 && r.hub.ctx.Err() == nil
		running := b.running
		b.mu.Unlock()
		if !running {
			return
		}
		left, err := r.trip(requests, kept)
		if err == nil {
			continue
		}
		r.hub.log.Debug("old commits cannot be read", "session", r.session, "err", err)
		b.mu.Lock()
		b.requests = append(b.requests, left...)
		b.mu.Unlock()
		select {
		case <-time.After(retryPause):
		case <-r.hub.ctx.Done():
		}
	}
}

// trip goes once through the log, from the lowest request to the highest, and
// returns the requests that an error has left over.
func (r *Room) trip(requests []request, c *chunk) ([]request, error) {
	ring := r.view.Load()
	requests = slices.DeleteFunc(requests, func(q request) bool {
		return q.ring != ring || q.sub.over.Load() // on another branch now, or gone
	})
	slices.SortFunc(requests, func(a, b request) int { return cmp.Compare(a.at.Version, b.at.Version) })
	for len(requests) > 0 {
		if c == nil || !c.serves(requests[0]) {
			var err error
			if c, err = r.readChunk(ring, requests[0].at.Version); err != nil {
				return requests, err
			}
			r.serve(c, requests[0]) // also when there is nothing: the log says so
			requests = requests[1:]
		}
		for len(requests) > 0 && c.serves(requests[0]) {
			r.serve(c, requests[0])
			requests = requests[1:]
		}
	}
	return nil, nil
}

// readChunk reads the log from a version on, inclusive, and makes sure that what it
// read is on the ring's branch.
func (r *Room) readChunk(ring *Ring, from uint64) (*chunk, error) {
	recs, err := r.read(from, r.hub.cfg.Chunk)
	if err != nil {
		return nil, err
	}
	if len(recs) > 0 {
		recs = recs[:1+len(chained(recs[0].Position(), recs[1:]))]
	}
	if err := r.sameBranch(ring, recs); err != nil {
		return nil, err
	}
	r.hub.metrics.chunks.Inc()
	c := &chunk{ring: ring}
	for _, rec := range recs {
		f := newFrame(rec)
		if len(rec.Raw) > r.hub.cfg.LargeRecord {
			f.native = nil
		}
		c.frames, c.native = append(c.frames, f), append(c.native, f.native)
	}
	r.backfill.mu.Lock()
	r.backfill.last, r.backfill.used = c, true
	r.backfill.mu.Unlock()
	return c, nil
}

// sameBranch compares what was read with the ring where they overlap; where they do
// not, the log must contain the ring's head, and with it all that leads there.
func (r *Room) sameBranch(ring *Ring, recs []wire.Record) error {
	if len(recs) > 0 {
		last := recs[len(recs)-1]
		if digest, held := ring.digest(last.Version); held && digest == last.Digest {
			return nil
		}
	}
	v, err := r.follow(ring.position(), 2)
	if err != nil {
		return err
	}
	if v.gone || v.broken != "" {
		r.do(func() { r.behind = true })
		return errBranch
	}
	return nil
}

// serves reports whether the chunk has the commit after the request's position.
func (c *chunk) serves(q request) bool {
	n := len(c.frames)
	return c.ring == q.ring && n > 0 && c.frames[0].version <= q.at.Version+1 && q.at.Version < c.frames[n-1].version
}

// serve answers one request whose position is not above the chunk.
func (r *Room) serve(c *chunk, q request) {
	rest, native := c.frames, c.native
	if len(rest) > 0 && rest[0].version <= q.at.Version {
		n := q.at.Version - rest[0].version + 1
		rest, native = rest[n:], native[n:]
	}
	switch {
	case len(rest) == 0 && len(c.frames) == 0, len(rest) > 0 && rest[0].version != q.at.Version+1:
		r.refuse(q, Trimmed)
	case len(rest) > 0 && rest[0].native == nil:
		r.refuse(q, Large)
	case q.join != nil:
		r.proved(c, q)
	default:
		n := 0
		for n < len(native) && native[n] != nil {
			n++
		}
		q.supply(q.at.Version+1, native[:n:n])
	}
}

// proved compares a join's position with the chunk, which holds that version or the
// one after it.
func (r *Room) proved(c *chunk, q request) {
	at := wire.Position{Epoch: q.ring.base.Epoch, Version: q.at.Version}
	if i := slices.IndexFunc(c.frames, func(f *frame) bool { return f.version == at.Version }); i >= 0 {
		at.Digest = c.frames[i].digest
	} else {
		at.Digest = c.frames[0].prev
	}
	if q.join.after.Proven && at.Digest != q.at.Digest {
		r.refuse(q, Fork)
		return
	}
	r.do(func() { r.decided(q, at, "") })
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
