package hub

import (
	"encoding/binary"
	"math"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/eventstream"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
)

// Format is a wire format. In the first two the JSON of a frame is the same; the others have a packet per event.
type Format uint8

// The formats that rooms write. Native frames are always there, those of the others while somebody reads them.
const (
	Native         Format = iota // api.md part 8: a WebSocket message
	EventStream                  // api.md part 9: a server-sent event
	Planned                      // api.md part 10: Socket.IO packets, each in a WebSocket message
	Shipped                      // the same with the names of the other dialect
	PlannedOffsets               // with the offset of each event of a commit, for connection state recovery
	ShippedOffsets
	formats
)

// dialect is how a Socket.IO format names events.
func (f Format) dialect() graphevent.Dialect {
	if f == Shipped || f == ShippedOffsets {
		return graphevent.Shipped
	}
	return graphevent.Planned
}

// spliced reports whether texts of the format are made from a record, not from the native text. Rings make them of what
// comes while somebody reads them; who needs older ones is given them from the log.
func (f Format) spliced() bool { return f >= Planned }

// texts are the bytes of one frame in each format; nil in those that nobody reads.
type texts [formats][]byte

// maxServerHeader is the longest header of an unmasked frame: 2 bytes and a length of 8 (RFC 6455, 5.2).
const maxServerHeader = 10

// native returns the texts of a frame whose JSON begins after maxServerHeader spare bytes of b. The buffer is used up.
func native(b []byte) texts { return texts{Native: framed(b)} }

// streamed is JSON as an event with that name and, if there is a position, with that id.
func streamed(json []byte, name string, at wire.Position) []byte {
	var id []byte
	if !at.IsZero() {
		var buf [64]byte
		id = at.Append(buf[:0])
	}
	return eventstream.Append(make([]byte, 0, len(json)+len(id)+len(name)+32), id, name, json)
}

// maker makes one frame in a format.
type maker func(Format) []byte

// made are the texts of a frame in the formats that somebody reads now.
func (r *Room) made(in maker) (t texts) {
	for f := range formats {
		if r.reads(f) {
			t[f] = in(f)
		}
	}
	return t
}

func (r *Room) reads(f Format) bool { return f == Native || r.readers[f] > 0 }

// event makes the frames of an event without a version.
func event(e wire.Ephemeral) maker {
	return func(f Format) []byte {
		if f.spliced() {
			return graphevent.AppendEphemeral(nil, e, f.dialect())
		}
		native := framed(e.AppendEventFrame(make([]byte, maxServerHeader, maxServerHeader+len(e.Fields)+192)))
		if f == EventStream {
			return streamed(unframed(native), "event", wire.Position{})
		}
		return native
	}
}

// status makes the frames that tell the status of a session.
func status(session uuid.UUID, status string) maker {
	return func(f Format) []byte {
		if f.spliced() {
			return graphevent.AppendStatus(nil, session, status, f.dialect())
		}
		native := framed(appendStatus(make([]byte, maxServerHeader, 128), session, status))
		if f == EventStream {
			return streamed(unframed(native), "status", wire.Position{})
		}
		return native
	}
}

// size is what the texts take in bytes.
func (t *texts) size() int {
	n := 0
	for _, text := range t {
		n += len(text)
	}
	return n
}

// framed writes the header of an unmasked, final text frame right before the payload, which begins after
// maxServerHeader spare bytes.
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

// unframed is the payload of what framed has made.
func unframed(b []byte) []byte {
	switch b[1] {
	case 126:
		return b[4:]
	case 127:
		return b[10:]
	default:
		return b[2:]
	}
}
