package graphio

import (
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// Bounds of what a peer that comes back is sent before it is connected; the client keeps all of it until then, and so does
// the control queue of a connection that takes it slowly, which has room for 4 MiB.
const (
	maxReplay = 3 << 20 // bytes
	maxReads  = 64      // of the log
)

// replay collects what a peer has missed. All of it happens on the room's goroutine.
type replay struct {
	events int // of the first commit, which the peer has
	at     hub.Start
	next   uint64 // version
	missed []byte // frames
	reads  int
}

// begin collects the commits after the peer's position or, if the peer has only a part of the commit that leads there, from
// that one on.
func (r *replay) begin(s *subscription, at hub.Start) {
	r.at, r.next = at, at.Position.Version+1
	if r.events > 0 {
		r.next--
	}
	r.collect(s)
}

// collect takes what the ring has, and asks the log for what it does not have.
func (r *replay) collect(s *subscription) {
	format := formatOf(s.client.dialect, true)
	for r.next <= r.at.Ring.Head() && len(r.missed) <= maxReplay {
		frame := r.at.Ring.FrameAs(format, r.next)
		if frame == nil {
			r.read(s)
			return
		}
		r.take(frame)
	}
	r.finish(s)
}

func (r *replay) read(s *subscription) {
	if r.reads++; r.reads > maxReads || len(r.missed) > maxReplay {
		s.anew("large")
		return
	}
	r.at.Sub.Refill(r.at.Ring, r.next-1, func(_ uint64, frames [][]byte) {
		if s.replay != r || s.over() {
			return
		}
		for _, frame := range frames {
			r.take(frame)
		}
		r.collect(s)
	})
}

func (r *replay) take(frame []byte) {
	r.next++
	if r.events > 0 {
		frame, r.events = graphevent.After(frame, r.events), 0
	}
	r.missed = append(r.missed, frame...)
}

// finish sends what was collected, then the answer to CONNECT, then what comes from now on.
func (r *replay) finish(s *subscription) {
	if len(r.missed) > maxReplay {
		s.anew("large")
		return
	}
	if len(r.missed) > 0 {
		_ = s.client.socket.Send(r.missed) // in one piece, as a queue has few entries; over: the connection has ended
	}
	s.client.namespace.metrics.recoveries.WithLabelValues("ok").Inc()
	s.enter(r.at, wire.Position{Version: r.next - 1})
}
