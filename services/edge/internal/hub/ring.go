package hub

import (
	"sync/atomic"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
)

const pageFrames = 64

// Ring holds the last commits of one room on one branch as frames that are ready
// for the socket. The room writes; any number of connections read without a lock.
// A frame's version stands beside it, so a reader that comes too late finds
// another version or nothing, never a wrong frame. When the room learns that its
// branch did not survive it begins a new ring; an old one gets no more frames.
//
// Each wire format that clients of the room read has its own text of a commit, made
// once and shared by all of them. A commit that came before the first of them has none
// in the formats of Socket.IO.
type Ring struct {
	base  wire.Position // the state before the first frame
	head  atomic.Uint64 // version of the newest frame, or of base
	low   atomic.Uint64 // version of the oldest frame that may still be there
	pages []atomic.Pointer[page]

	// Owned by the room's goroutine.
	tip      wire.Position
	bytes    int
	maxBytes int
}

// page is a part of the ring; pages are made when they are first used, so that a
// quiet room stays small.
type page [pageFrames]atomic.Pointer[frame]

// frame is one commit as it goes over the wire. It never changes.
type frame struct {
	at    wire.Position
	prev  wire.Digest
	texts texts
}

func newRing(base wire.Position, frames, bytes int) *Ring {
	g := &Ring{base: base, tip: base, maxBytes: bytes}
	g.pages = make([]atomic.Pointer[page], max(1, frames/pageFrames))
	g.head.Store(base.Version)
	g.low.Store(base.Version + 1)
	return g
}

// Head is the newest version in the ring, or the version before its first frame.
func (g *Ring) Head() uint64 { return g.head.Load() }

// Frame is the commit of that version as a complete WebSocket message of the
// native protocol; nil if it is not in the ring. The bytes are shared and must not
// be changed.
func (g *Ring) Frame(version uint64) []byte { return g.FrameAs(Native, version) }

// FrameAs is Frame in any format that a client of the room has joined with.
func (g *Ring) FrameAs(format Format, version uint64) []byte {
	if f := g.at(version); f != nil {
		return f.texts[format]
	}
	return nil
}

func (g *Ring) slot(version uint64) (pageIndex, index int) {
	i := int(version % uint64(len(g.pages)*pageFrames))
	return i / pageFrames, i % pageFrames
}

func (g *Ring) at(version uint64) *frame {
	p, i := g.slot(version)
	page := g.pages[p].Load()
	if page == nil {
		return nil
	}
	f := page[i].Load()
	if f == nil || f.at.Version != version {
		return nil
	}
	return f
}

// append adds the frame after the newest one and lets go of the oldest beyond the
// ring's bounds, but never of the newest.
func (g *Ring) append(f *frame) {
	p, i := g.slot(f.at.Version)
	pg := g.pages[p].Load()
	if pg == nil {
		pg = new(page)
		g.pages[p].Store(pg)
	}
	if old := pg[i].Load(); old != nil {
		g.bytes -= old.texts.size()
		g.low.Store(old.at.Version + 1)
	}
	pg[i].Store(f)
	g.bytes += f.texts.size()
	g.tip = f.at
	g.shrink()
	g.head.Store(f.at.Version)
}

// open gives the frames that are there a text in a format that was not read so far.
func (g *Ring) open(as Format) {
	if as == Native || as.spliced() {
		return
	}
	for version := g.low.Load(); version <= g.tip.Version; version++ {
		old := g.at(version)
		if old == nil {
			continue
		}
		full := *old // readers may hold the old one
		full.texts[as] = streamed(unframed(old.texts[Native]), "commit", old.at)
		p, i := g.slot(version)
		g.pages[p].Load()[i].Store(&full)
		g.bytes += full.texts.size() - old.texts.size()
	}
	g.shrink()
}

// shrink lets go of the oldest frames until the rest is small enough.
func (g *Ring) shrink() {
	for low := g.low.Load(); g.bytes > g.maxBytes && low < g.tip.Version; low++ {
		if old := g.at(low); old != nil {
			p, i := g.slot(low)
			g.pages[p].Load()[i].Store(nil)
			g.bytes -= old.texts.size()
		}
		g.low.Store(low + 1)
	}
}

// digest is the digest of the state at that version, if the ring can tell.
func (g *Ring) digest(version uint64) (wire.Digest, bool) {
	if version == g.base.Version {
		return g.base.Digest, true
	}
	if f := g.at(version); f != nil {
		return f.at.Digest, true
	}
	if f := g.at(version + 1); f != nil {
		return f.prev, true
	}
	return wire.Digest{}, false
}

// Position is the state after the newest frame.
func (g *Ring) Position() wire.Position {
	for {
		head := g.Head()
		if digest, held := g.digest(head); held {
			return wire.Position{Epoch: g.base.Epoch, Version: head, Digest: digest}
		} // the ring went round in between
	}
}

// stands reports whether the newest frame leads to head.
func (g *Ring) stands(head wire.Position) bool { return g.Position() == head }

// newFrame splices a record into the message that all clients of the native
// protocol share.
func newFrame(rec wire.Record) *frame {
	json := make([]byte, maxServerHeader, maxServerHeader+len(rec.Raw)+256)
	return &frame{at: rec.Position(), prev: rec.Prev, texts: native(rec.AppendCommitFrame(json))}
}

// in completes the frame by its text in a format. Only who has made the frame of the
// record, and has not shared it yet, may call it.
func (f *frame) in(as Format, rec wire.Record) {
	switch {
	case f.texts[as] != nil:
	case as.spliced():
		offsets := as == PlannedOffsets || as == ShippedOffsets
		f.texts[as] = graphevent.AppendCommit(nil, rec, as.dialect(), offsets)
	default:
		f.texts[as] = streamed(unframed(f.texts[Native]), "commit", f.at)
	}
}
