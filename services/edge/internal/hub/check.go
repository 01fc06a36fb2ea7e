package hub

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
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

// check reads heads until ctx ends: of suspect sessions at once, of idle rooms once
// per interval, spread over it. A lost last message is found here; so is a Redis
// that came back with less than it had.
func (h *Hub) check(ctx context.Context) {
	tick := time.NewTicker(h.cfg.HeadCheck / headSlices)
	defer tick.Stop()
	for slice := byte(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-tick.C:
			slice = (slice + 1) % headSlices
			h.suspectLater(h.housekeep(slice, time.Now())...)
		}
		h.readHeads(ctx)
	}
}

// housekeep looks after the rooms of one slice and returns those that have been
// quiet for an interval.
func (h *Hub) housekeep(slice byte, now time.Time) []*Room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var idle []*Room
	for session, r := range h.rooms {
		if session[15]%headSlices != slice {
			continue
		}
		if r.view.Load() != nil && r.quiet(now, h.cfg.HeadCheck) {
			idle = append(idle, r)
		}
		if r.pending.Load() > 0 || r.idle(now) {
			r.do(func() { r.age(now) })
		}
		r.backfill.trim()
	}
	return idle
}

// readHeads reads the heads of all suspect sessions and tells their rooms. After an
// error they stay suspect until the next tick.
func (h *Hub) readHeads(ctx context.Context) {
	rooms := h.takeSuspects()
	for len(rooms) > 0 {
		batch := rooms[:min(headBatch, len(rooms))]
		heads, err := h.heads(ctx, batch)
		if err != nil {
			h.metrics.headChecks.WithLabelValues("error").Inc()
			h.log.Debug("heads cannot be read", "sessions", len(rooms), "err", err)
			h.suspectLater(rooms...)
			return
		}
		for i, r := range batch {
			h.tell(r, heads[i])
		}
		rooms = rooms[len(batch):]
	}
}

func (h *Hub) heads(ctx context.Context, rooms []*Room) ([]wire.Position, error) {
	sessions := make([]uuid.UUID, len(rooms))
	for i, r := range rooms {
		sessions[i] = r.session
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	return h.source.Heads(ctx, sessions)
}

// tell wakes a room unless it stands at that head and nobody waits.
func (h *Hub) tell(r *Room, head wire.Position) {
	if g := r.view.Load(); g != nil && r.pending.Load() == 0 && g.stands(head) {
		h.metrics.headChecks.WithLabelValues("same").Inc()
		return
	}
	r.do(func() { r.headSeen(head) })
}
