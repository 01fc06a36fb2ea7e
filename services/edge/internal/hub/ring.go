package hub

import (
	"encoding/binary"
	"math"
	"sync/atomic"

	"github.com/talus-tally/talus/pkg/wire"
)

const pageFrames = 64

// Ring holds the last commits of one room on one branch as frames that are ready
// for the socket. The room writes; any number of connections read without a lock.
// A frame's version stands beside it, so a reader that comes too late finds
// another version or nothing, never a wrong frame. When the room learns that its
// branch did not survive it begins a new ring; an old one gets no more frames.
//
// Each wire format that clients read has its own text of a commit; so far there is
// one, the native protocol's.
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
	version uint64
	prev    wire.Digest
	digest  wire.Digest
	native  []byte
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
func (g *Ring) Frame(version uint64) []byte {
	if f := g.at(version); f != nil {
		return f.native
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
	if f == nil || f.version != version {
		return nil
	}
	return f
}

// append adds the frame after the newest one and lets go of the oldest beyond the
// ring's bounds, but never of the newest.
func (g *Ring) append(f *frame) {
	p, i := g.slot(f.version)
	pg := g.pages[p].Load()
	if pg == nil {
		pg = new(page)
		g.pages[p].Store(pg)
	}
	if old := pg[i].Load(); old != nil {
		g.bytes -= len(old.native)
		g.low.Store(old.version + 1)
	}
	pg[i].Store(f)
	g.bytes += len(f.native)
	for low := g.low.Load(); g.bytes > g.maxBytes && low < f.version; low++ {
		g.evict(low)
	}
	g.tip = wire.Position{Epoch: g.tip.Epoch, Version: f.version, Digest: f.digest}
	g.head.Store(f.version)
}

func (g *Ring) evict(version uint64) {
	if old := g.at(version); old != nil {
		p, i := g.slot(version)
		g.pages[p].Load()[i].Store(nil)
		g.bytes -= len(old.native)
	}
	g.low.Store(version + 1)
}

// digest is the digest of the state at that version, if the ring can tell.
func (g *Ring) digest(version uint64) (wire.Digest, bool) {
	if version == g.base.Version {
		return g.base.Digest, true
	}
	if f := g.at(version); f != nil {
		return f.digest, true
	}
	if f := g.at(version + 1); f != nil {
		return f.prev, true
	}
	return wire.Digest{}, false
}

// position is the state after the newest frame.
func (g *Ring) position() wire.Position {
	for {
		head := g.Head()
		if digest, held := g.digest(head); held {
			return wire.Position{Epoch: g.base.Epoch, Version: head, Digest: digest}
		} // the ring went round in between
	}
}

// stands reports whether the newest frame leads to head.
func (g *Ring) stands(head wire.Position) bool { return g.position() == head }

// newFrame splices a record into the message that all clients of the native
// protocol share.
func newFrame(rec wire.Record) *frame {
	text := make([]byte, maxServerHeader, maxServerHeader+len(rec.Raw)+256)
	return &frame{
		version: rec.Version, prev: rec.Prev, digest: rec.Digest,
		native: framed(rec.AppendCommitFrame(text)),
	}
}

// maxServerHeader is the longest header of an unmasked frame: 2 bytes and a length
// of 8 (RFC 6455, 5.2).
const maxServerHeader = 10

// framed writes the header of an unmasked, final text frame right before the
// payload, which begins after maxServerHeader spare bytes.
func framed(b []byte) []byte {
	const finalText = 0x81
	n := len(b) - maxServerHeader
	switch {
	case n < 126:
		b[8], b[9] = finalText, byte(n)
		return b[8:]
	case n <= math.MaxUint16:
		b[6], b[7] = finalText, 126
		binary.BigEndian.PutUint16(b[8:], uint16(n))
		return b[6:]
	default:
		b[0], b[1] = finalText, 127
		binary.BigEndian.PutUint64(b[2:], uint64(n))
		return b
	}
}
