package hub

import (
	"encoding/binary"
	"math"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/eventstream"
)

// Format is a wire format. The JSON of a frame is the same in all of them; what stands around it differs.
type Format uint8

// The formats that rooms write. Native frames are always there, those of the others while somebody reads them.
const (
	Native      Format = iota // api.md part 8: a WebSocket message
	EventStream               // api.md part 9: a server-sent event
	formats
)

// texts are the bytes of one frame in each format; nil in those that nobody reads.
type texts [formats][]byte

// maxServerHeader is the longest header of an unmasked frame: 2 bytes and a length of 8 (RFC 6455, 5.2).
const maxServerHeader = 10

// native returns the texts of a frame whose JSON begins after maxServerHeader spare bytes of b. The buffer is used up.
func native(b []byte) texts { return texts{Native: framed(b)} }

// add completes the texts by those of f: an event with that name and, if there is a position, with that id.
func (t *texts) add(f Format, name string, at wire.Position) {
	if f == Native || t[f] != nil || t[Native] == nil {
		return
	}
	json := unframed(t[Native])
	var id []byte
	if !at.IsZero() {
		var buf [64]byte
		id = at.Append(buf[:0])
	}
	t[f] = eventstream.Append(make([]byte, 0, len(json)+len(id)+len(name)+32), id, name, json)
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
