package hub

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	headBatch  = 500 // heads per pipelined read
	headSlices = 10  // parts of the check interval over which idle rooms are spread
)

// suspects are the rooms whose head must be read before the next check of idle
// rooms would come to them. A room that was opened anew is another room: what an
// older subscription of its channel confirmed does not count for it.
type suspects struct {
	mu    sync.Mutex
	rooms map[*Room]struct{}
}

// suspectLater has the rooms' heads read with the next tick.
func (h *Hub) suspectLater(rooms ...*Room) {
	h.suspects.mu.Lock()
	defer h.suspects.mu.Unlock()
	if h.suspects.rooms == nil {
		h.suspects.rooms = map[*Room]struct{}{}
	}
	for _, r := range rooms {
		h.suspects.rooms[r] = struct{}{}
	}
}

// suspect has the room's head read at once, together with all others that are
// suspect at that moment: a feed that reconnects confirms thousands.
func (h *Hub) suspect(r *Room) {
	h.suspectLater(r)
	select {
	case h.wake <- struct{}{}:
	default: // a check is due already and will see the room
	}
}

func (h *Hub) takeSuspects() []*Room {
	h.suspects.mu.Lock()
	defer h.suspects.mu.Unlock()
	out := make([]*Room, 0, len(h.suspects.rooms))
	for r := range h.suspects.rooms {
		out = append(out, r)
	}
	h.suspects.rooms = nil
	return out
}

// check reads heads until ctx ends: of suspect sessions at once, of idle rooms spread
// over the interval, so that a lost last message is found within it; so is a Redis that
// came back with less than it had.
func (h *Hub) check(ctx context.Context) {
	const parts = time.Duration(headSlices)
	round := h.cfg.HeadCheck * 17 / 20 // and a message that was just heard may put a room off by a tenth
	tick := time.NewTicker(round / parts)
	defer tick.Stop()
	last := time.Now()
	for slice := byte(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-tick.C:
			now := time.Now()
			for due := min(headSlices, max(1, int(now.Sub(last)/(round/parts)))); due > 0; due-- { // more after a slow read
				slice = (slice + 1) % headSlices
				h.suspectLater(h.housekeep(slice, now)...)
			}
			last = now
		}
		h.readHeads(ctx)
	}
}

// housekeep looks after the rooms of one slice and returns those that have been
// quiet for a moment, or whose clients have waited so long for the channel.
func (h *Hub) housekeep(slice byte, now time.Time) []*Room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var idle []*Room
	for session, r := range h.rooms {
		if session[15]%headSlices != slice {
			continue
		}
		if known := r.view.Load() != nil; known && r.quiet(now, h.cfg.HeadCheck/10) || !known && r.pending.Load() > 0 {
			idle = append(idle, r)
		}
		if r.pending.Load() > 0 || r.idle(now) {
			r.do(func() { r.age(now) })
		}
		r.backfill.trim()
	}
	return idle
}

// readHeads reads the heads of all suspect sessions and tells their rooms. Those that
// cannot be read stay suspect until the next tick; when none of a batch can, the
// others are not tried.
func (h *Hub) readHeads(ctx context.Context) {
	rooms := h.takeSuspects()
	for len(rooms) > 0 {
		batch := rooms[:min(headBatch, len(rooms))]
		began := time.Now()
		failed := 0
		for i, head := range h.heads(ctx, batch) {
			if head.Err == nil {
				batch[i].missed = 0
				h.tell(batch[i], head)
				continue
			}
			h.log.Debug("head cannot be read", "session", batch[i].session, "err", head.Err)
			h.miss(batch[i], time.Since(began))
			failed++
		}
		rooms = rooms[len(batch):]
		if failed == len(batch) {
			for _, r := range rooms {
				h.miss(r, time.Since(began))
			}
			return
		}
	}
}

func (h *Hub) heads(ctx context.Context, rooms []*Room) []Head {
	sessions := make([]uuid.UUID, len(rooms))
	for i, r := range rooms {
		sessions[i] = r.session
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	return h.source.Heads(ctx, sessions)
}

// tell wakes a room unless it stands at that head, nobody waits and nobody was told
// that it is stale. A room that is not on its channel yet must not know its head.
func (h *Hub) tell(r *Room, head Head) {
	switch g := r.view.Load(); {
	case !r.confirmed.Load():
		r.do(r.reachable)
	case g != nil && r.pending.Load() == 0 && !r.away.Load() && g.stands(head.Position):
		h.metrics.headChecks.WithLabelValues("same").Inc()
	default:
		r.do(func() { r.headSeen(head) })
	}
}
