package hub

import (
	"time"

	"github.com/talus-tally/talus/pkg/wire"
)

// receive handles one message of the channel. Whatever cannot be appended right
// away is settled by reading the log.
func (r *Room) receive(payload []byte) {
	kind, session, err := wire.PeekMessage(payload)
	switch {
	case err != nil:
		r.reject("malformed", err)
	case session != r.session:
		r.reject("isolation", nil)
	case r.ring == nil:
		r.behind = true // it may be newer than the head that is being read
	case kind == wire.KindRecord:
		r.receiveRecord(payload)
	case kind == wire.KindEphemeral:
		r.receiveEphemeral(payload)
	case kind == wire.KindDeleted:
		r.receiveDeleted(payload)
	default: // a notice: the record is in the log
		r.behind = true
	}
}

// reject drops a message that should not be there and looks at the log instead.
func (r *Room) reject(reason string, err error) {
	r.hub.metrics.dropped.WithLabelValues(reason).Inc()
	r.hub.log.Error("channel message refused", "session", r.session, "reason", reason, "err", err)
	r.behind = true
}

func (r *Room) receiveRecord(payload []byte) {
	rec, err := wire.ParseRecord(payload)
	if err != nil {
		r.reject("malformed", err)
		return
	}
	r.heard.Store(time.Now().UnixNano())
	if r.behind {
		return // the read that is due brings it
	}
	tip := r.ring.tip
	if rec.Follows(tip) {
		r.append(rec, "channel")
		return
	}
	digest, held := r.ring.digest(rec.Version)
	if rec.Version <= tip.Version && held && digest == rec.Digest {
		r.hub.metrics.duplicates.Inc()
		return
	}
	r.hub.metrics.gaps.Inc()
	r.behind = true
}

// append adds the record that follows the room's head. One that is too large to
// send to everybody becomes a resync.
func (r *Room) append(rec wire.Record, from string) {
	r.hub.metrics.record(rec, from)
	if len(rec.Raw) > r.hub.cfg.LargeRecord {
		r.restart(rec.Position(), Large)
		return
	}
	f := newFrame(rec)
	for as, readers := range r.readers {
		if readers > 0 {
			f.in(Format(as), rec)
		}
	}
	r.ring.append(f)
}

// restart begins a new ring at a position and sends every client there.
func (r *Room) restart(at wire.Position, reason Reason) {
	r.announce()
	r.hub.log.Warn("clients resync", "session", r.session, "version", at.Version, "reason", reason, "clients", len(r.subs))
	r.use(newRing(at, r.hub.cfg.RingFrames, r.hub.cfg.RingBytes))
	r.hub.metrics.resyncs.WithLabelValues(string(reason)).Add(float64(len(r.subs)))
	for _, s := range r.subs {
		s.client.Start(Start{Sub: s, Ring: r.ring, Position: at, Reason: reason})
	}
	for _, j := range r.waiting {
		j.asked = false // what the backfill finds belongs to the old ring
	}
}

func (r *Room) receiveEphemeral(payload []byte) {
	e, err := wire.ParseEphemeral(payload)
	if err != nil {
		r.reject("malformed", err)
		return
	}
	if e.Name == wire.SessionConnected || e.Name == wire.SessionDisconnected {
		r.receivePresence(e)
		return
	}
	r.happen(event(e))
}

func (r *Room) receiveDeleted(payload []byte) {
	d, err := wire.ParseDeleted(payload)
	if err != nil {
		r.reject("malformed", err)
		return
	}
	if d.Epoch != r.ring.tip.Epoch {
		r.behind = true
		return
	}
	r.announce()
	r.hub.log.Info("session deleted", "session", r.session, "clients", len(r.subs))
	r.close(ErrNoSession)
}
