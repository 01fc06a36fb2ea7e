// Package wire is what two processes of Talus must agree on byte for byte: the
// record of a commit, the messages on a session's channel, the position that
// names a state, the names of events and the table of problem codes.
//
// It promises that bytes built here are parsed here to the same values, that
// parsing never panics and never reads past its input, and that an edge can turn
// a record into a client's frame without decoding any JSON: the text that the
// command service wrote is copied, never read. It does no I/O, reads no clock and
// draws no random numbers. It does not check that the JSON texts it carries are
// JSON; whoever builds a record vouches for them.
//
// All integers are big-endian. Every stored or published byte string begins with
// the same envelope of 20 bytes:
//
//	0  'T'      magic
//	1  kind     'R' record, 'N' notice, 'E' ephemeral event, 'X' deleted
//	2  1        format
//	3  flags
//	4  session  16 bytes
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Kind tells the messages on a session's channel apart.
type Kind byte

// The kinds of message on a session's channel.
const (
	KindRecord    Kind = 'R' // the public part of a commit's record
	KindNotice    Kind = 'N' // a commit too large to publish: read the log
	KindEphemeral Kind = 'E' // an event without a version
	KindDeleted   Kind = 'X' // the session is gone
)

// ErrMalformed is wrapped by every error that this package returns for bytes it
// did not write.
var ErrMalformed = errors.New("wire: malformed message")

const (
	magic        = 'T'
	format       = 1
	envelopeSize = 20
)

// PeekMessage reads the envelope of a message: what it is and which session it
// belongs to. Receivers compare the session with the one they asked for before
// they look at anything else.
func PeekMessage(b []byte) (Kind, uuid.UUID, error) {
	if len(b) < envelopeSize || b[0] != magic {
		return 0, uuid.Nil, fmt.Errorf("%w: no envelope", ErrMalformed)
	}
	if b[2] != format {
		return 0, uuid.Nil, fmt.Errorf("%w: format %d", ErrMalformed, b[2])
	}
	switch k := Kind(b[1]); k {
	case KindRecord, KindNotice, KindEphemeral, KindDeleted:
		return k, uuid.UUID(b[4:envelopeSize]), nil
	default:
		return 0, uuid.Nil, fmt.Errorf("%w: kind %d", ErrMalformed, b[1])
	}
}

func appendEnvelope(dst []byte, k Kind, flags Flags, session uuid.UUID) []byte {
	dst = append(dst, magic, byte(k), format, byte(flags))
	return append(dst, session[:]...)
}

// open checks the envelope and gives a cursor over what follows it.
func open(b []byte, want Kind) (uuid.UUID, cursor, error) {
	k, session, err := PeekMessage(b)
	if err != nil {
		return uuid.Nil, cursor{}, err
	}
	if k != want {
		return uuid.Nil, cursor{}, fmt.Errorf("%w: kind %q, want %q", ErrMalformed, byte(k), byte(want))
	}
	return session, cursor{rest: b[envelopeSize:]}, nil
}

// cursor takes values off the front of a byte string. After the first value that
// is not there it stays failed, so that callers look once, at the end.
type cursor struct {
	rest   []byte
	failed bool
}

func (c *cursor) bytes(n uint64) []byte {
	if c.failed || n > uint64(len(c.rest)) {
		c.failed = true
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uint8() uint8 {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) id() uuid.UUID {
	if b := c.bytes(16); b != nil {
		return uuid.UUID(b)
	}
	return uuid.Nil
}

func (c *cursor) digest() Digest {
	if b := c.bytes(8); b != nil {
		return Digest(b)
	}
	return Digest{}
}

// text takes a 32-bit length and as many bytes.
func (c *cursor) text() []byte { return c.bytes(uint64(c.uint32())) }

// end reports what is wrong if the values did not fill the input exactly.
func (c *cursor) end(what string) error {
	switch {
	case c.failed:
		return fmt.Errorf("%w: %s is cut short", ErrMalformed, what)
	case len(c.rest) > 0:
		return fmt.Errorf("%w: %d bytes after the %s", ErrMalformed, len(c.rest), what)
	default:
		return nil
	}
}

func appendText[T []byte | string](dst []byte, text T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}
