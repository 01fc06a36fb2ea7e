package hub

import (
	"slices"

	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

// chunk is a part of the log: contiguous frames, the first perhaps only there to
// prove a position.
type chunk struct {
	ring   *Ring
	frames []*frame
	recs   []wire.Record     // of the frames
	texts  [formats][][]byte // the frames' bytes, nil for a commit that is too large to send; in the formats asked for
}

// readChunk reads the log from a version on, inclusive, and makes sure that what it
// read is on the ring's branch. It goes no further than the ring did before: of what
// comes after that the room may yet see another branch.
func (r *Room) readChunk(ring *Ring, from uint64) (*chunk, error) {
	known := ring.Head()
	recs, _, err := r.read(from, r.hub.cfg.Chunk)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(recs, func(rec wire.Record) bool { return rec.Version > known }); i >= 0 {
		recs = recs[:i]
	}
	if len(recs) > 0 {
		recs = recs[:1+len(chained(recs[0].Position(), recs[1:]))]
	}
	if err := r.sameBranch(ring, recs); err != nil {
		return nil, err
	}
	r.hub.metrics.chunks.Inc()
	c := &chunk{ring: ring, recs: recs}
	for _, rec := range recs {
		f := newFrame(rec)
		if len(rec.Raw) > r.hub.cfg.LargeRecord {
			f.texts = texts{}
		}
		c.frames = append(c.frames, f)
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
	v, err := r.follow(ring.Position(), 2)
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
	return c.ring == q.ring && n > 0 && c.frames[0].at.Version <= q.at.Version+1 && q.at.Version < c.frames[n-1].at.Version
}

// serve answers one request whose position is not above the chunk.
func (r *Room) serve(c *chunk, q request) {
	rest := c.frames
	if len(rest) > 0 && rest[0].at.Version <= q.at.Version {
		rest = rest[q.at.Version-rest[0].at.Version+1:]
	}
	switch {
	case len(rest) == 0 && len(c.frames) == 0, len(rest) > 0 && rest[0].at.Version != q.at.Version+1:
		r.refuse(q, Trimmed)
	case len(rest) > 0 && rest[0].texts[Native] == nil:
		r.refuse(q, Large)
	case q.join != nil:
		r.proved(c, q)
	default:
		texts := c.in(q.sub.format)[len(c.frames)-len(rest):]
		if n := slices.IndexFunc(texts, func(b []byte) bool { return b == nil }); n >= 0 {
			texts = texts[:n:n]
		}
		r.do(func() { r.supply(q, texts) })
	}
}

// in returns the frames' bytes in a format.
func (c *chunk) in(format Format) [][]byte {
	if c.texts[format] == nil {
		all := make([][]byte, len(c.frames))
		for i, f := range c.frames {
			if f.texts[Native] != nil {
				f.in(format, c.recs[i])
			}
			all[i] = f.texts[format]
		}
		c.texts[format] = all
	}
	return c.texts[format]
}

// proved compares a join's position with the chunk, which holds that version or the
// one after it.
func (r *Room) proved(c *chunk, q request) {
	at := wire.Position{Epoch: q.ring.base.Epoch, Version: q.at.Version}
	if i := slices.IndexFunc(c.frames, func(f *frame) bool { return f.at.Version == at.Version }); i >= 0 {
		at.Digest = c.frames[i].at.Digest
	} else {
		at.Digest = c.frames[0].prev
	}
	if q.join.after.Proven && at.Digest != q.at.Digest && !planted.Is(planted.IgnoreDigest) {
		r.refuse(q, Fork)
		return
	}
	r.do(func() { r.decided(q, at, "") })
}
