package hub

import (
	"time"

	"github.com/google/uuid"
)

// missesAway is how many reads of a room's head must fail in a row before its clients
// are told. One that took most of its time counts for all of them.
const missesAway = 2

// miss notes that the room's head could not be read. It stays suspect, so it is read
// again with the next tick, together with all others that are. It is called by the
// hub's check.
func (h *Hub) miss(r *Room, took time.Duration) {
	h.metrics.headChecks.WithLabelValues("error").Inc()
	h.suspectLater(r)
	if r.missed++; took > h.cfg.ReadTimeout/2 {
		r.missed = missesAway
	}
	if r.missed >= missesAway && !r.away.Load() {
		r.do(r.lapse)
	}
}

// lapse makes the room stale: its clients are told once and stay, joins are refused.
func (r *Room) lapse() {
	if r.isDead() || r.away.Load() {
		return
	}
	r.reach(false)
	r.verified = false
	r.turnAway(func(*join) bool { return true })
	if r.ring != nil {
		r.inform("stale")
	}
}

// recover ends what lapse began, as soon as the log was read and nothing is missing.
func (r *Room) recover() {
	if !r.away.Load() || !r.verified || r.behind || r.isDead() {
		return
	}
	r.reach(true)
	if r.ring != nil {
		r.inform("live")
	}
}

// reachable takes note that the log can be read, for a room that is not on its
// channel yet and must not look at the head before it is.
func (r *Room) reachable() {
	if r.ring == nil {
		r.verified = true
	}
}

// reach notes whether the room's head can be read.
func (r *Room) reach(can bool) {
	switch {
	case can && r.away.CompareAndSwap(true, false):
		r.hub.metrics.stale.Dec()
	case !can && r.away.CompareAndSwap(false, true):
		r.hub.metrics.stale.Inc()
	}
}

// inform sends the room's status to all clients that are up to date; the others find
// it when they are.
func (r *Room) inform(now string) {
	in := status(r.session, now)
	frame := r.made(in)
	r.statuses++
	state := State{Topic: StatusTopic, Number: r.statuses}
	r.status.Store(&told{frame: frame, number: state.Number, in: in})
	r.hub.log.Info("session changed its status", "session", r.session, "status", now, "clients", len(r.subs))
	for _, s := range r.subs {
		s.client.Event(frame[s.format], state)
	}
}

func appendStatus(dst []byte, session uuid.UUID, status string) []byte {
	dst = append(append(dst, `{"type":"status","session_id":"`...), session.String()...)
	return append(append(append(dst, `","status":"`...), status...), `"}`...)
}
