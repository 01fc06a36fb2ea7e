package hub

import (
	"context"
	"errors"

	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

// verdict is what a read of the log says of a position.
type verdict struct {
	records []wire.Record // those that follow the position, in order, without a hole
	more    bool          // there are more
	head    wire.Position // set if broken
	broken  Reason        // not empty: the position cannot be continued
	gone    bool          // there is no such session
	why     error         // set if gone: ErrNoSession, ErrLost or ErrTorn
	settled bool          // the head was read, too, and leaves no doubt
}

// followTries bounds how often a read is repeated because the log moved meanwhile.
const followTries = 4

// errMoving says that the log changed during each of a read's tries.
var errMoving = errors.New("hub: the log moves faster than it can be read")

// follow reads what comes after a position and whether it is on the log's chain:
// the record of its version has its digest or, where that record is trimmed, the
// next one names it as the previous.
func (r *Room) follow(at wire.Position, limit int) (verdict, error) {
	for range followTries {
		recs, full, err := r.read(at.Version, limit)
		if err != nil {
			return verdict{}, err
		}
		if len(recs) > 0 && recs[0].Position() == at {
			if recs = recs[1:]; len(recs) == 0 {
				return verdict{more: full}, nil
			}
		}
		if next := chained(at, recs); len(next) > 0 {
			return verdict{records: next, more: full || len(next) < len(recs)}, nil
		}
		v, err := r.lookForHead(at, recs)
		if err != nil || v.settled {
			return v, err
		}
	}
	return verdict{}, errMoving
}

// chained is the longest beginning of recs that continues at without a break.
func chained(at wire.Position, recs []wire.Record) []wire.Record {
	for i, rec := range recs {
		if !rec.Follows(at) {
			return recs[:i]
		}
		at = rec.Position()
	}
	return recs
}

// lookForHead tells an untouched log from a broken one when recs, read from a
// position on, do not continue it. It is not settled if the log was empty and has
// grown in between.
func (r *Room) lookForHead(at wire.Position, recs []wire.Record) (verdict, error) {
	found := r.hub.heads(r.hub.ctx, []*Room{r})[0]
	if found.Err != nil {
		return verdict{}, found.Err
	}
	head := found.Position
	v := verdict{settled: true, head: head, broken: Fork}
	switch {
	case head.IsZero():
		return verdict{settled: true, gone: true, why: found.gone()}, nil
	case head == at:
		return verdict{settled: true}, nil
	case head.Epoch != at.Epoch:
		v.broken = Epoch
	case len(recs) > 0 && recs[0].Version > at.Version+1:
		v.broken = Trimmed
	case len(recs) == 0 && head.Version > at.Version:
		v.settled = false
	}
	return v, nil
}

// read reads records from a version on and drops what is not the room's.
func (r *Room) read(from uint64, limit int) (recs []wire.Record, more bool, err error) {
	ctx, cancel := context.WithTimeout(r.hub.ctx, r.hub.cfg.ReadTimeout)
	defer cancel()
	r.hub.metrics.reads.Inc()
	recs, more, err = r.hub.source.Read(ctx, r.session, max(1, from), limit)
	if err != nil {
		return nil, false, err
	}
	for i, rec := range recs {
		if rec.Session != r.session {
			r.hub.metrics.dropped.WithLabelValues("isolation").Inc()
			r.hub.log.Error("log entry refused", "session", r.session, "found", rec.Session, "version", rec.Version)
			return recs[:i], more, nil
		}
	}
	return recs, more, nil
}

// repair reads the log from the room's head to its end. If the log cannot be read
// the room stays behind, the hub's next check of its head wakes it, and the answer
// is false.
func (r *Room) repair() bool {
	for _, j := range r.waiting {
		j.checked = true
	}
	for r.ring != nil {
		v, err := r.follow(r.ring.tip, r.hub.cfg.Chunk)
		if errors.Is(err, ErrLost) {
			r.lose(err)
			break
		}
		if err != nil {
			r.hub.metrics.repairs.WithLabelValues("error").Inc()
			r.hub.log.Debug("log cannot be read", "session", r.session, "err", err)
			for _, j := range r.waiting {
				j.checked = false
			}
			r.behind = true
			r.hub.suspectLater(r)
			return false
		}
		if !r.catchUp(v) {
			break
		}
	}
	r.behind, r.verified = false, true
	return true
}

// catchUp takes a verdict on the room's own head into account and reports whether
// there is more to read.
func (r *Room) catchUp(v verdict) bool {
	switch {
	case v.gone:
		r.lose(v.why)
		return false
	case v.broken != "" && planted.Is(planted.ForkUnnoticed):
		r.use(newRing(v.head, r.hub.cfg.RingFrames, r.hub.cfg.RingBytes))
		return false
	case v.broken != "":
		r.hub.metrics.repairs.WithLabelValues(string(v.broken)).Inc()
		r.restart(v.head, v.broken)
		return false
	}
	r.hub.metrics.repairs.WithLabelValues("ok").Inc()
	for _, rec := range v.records {
		r.append(rec, "log")
	}
	r.announce()
	return v.more
}

// lose ends the room of a session that is no longer there.
func (r *Room) lose(why error) {
	r.hub.metrics.repairs.WithLabelValues("gone").Inc()
	if errors.Is(why, ErrLost) {
		r.hub.metrics.lost.Inc()
		r.hub.log.Error("session is lost", "session", r.session, "clients", len(r.subs), "err", why)
	} else {
		r.hub.log.Info("session is gone", "session", r.session, "clients", len(r.subs))
	}
	r.close(why)
}

// gone says why there is no session to go on with.
func (h Head) gone() error {
	switch {
	case h.Torn:
		return ErrTorn
	case h.Deleted:
		return ErrNoSession
	default:
		return ErrLost
	}
}

// headSeen takes the result of a head check that began after the subscription of
// the channel stood.
func (r *Room) headSeen(found Head) {
	head := found.Position
	switch {
	case r.isDead():
		return
	case head.IsZero() && r.ring == nil:
		r.hub.metrics.joins.WithLabelValues("no_session").Add(float64(len(r.waiting)))
		why := ErrNoSession // whether it was deleted or never was is all the same to who comes now
		if found.Torn {
			why = ErrTorn
		}
		r.close(why)
	case head.IsZero():
		r.lose(found.gone())
	case r.ring == nil:
		r.use(newRing(head, r.hub.cfg.RingFrames, r.hub.cfg.RingBytes))
	case head != r.ring.tip:
		r.behind = true
		r.hub.metrics.headChecks.WithLabelValues("differs").Inc()
		return
	default:
		r.hub.metrics.headChecks.WithLabelValues("same").Inc()
	}
	r.verified = true
}
