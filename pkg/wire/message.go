package wire

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// MaxPublished is the size in bytes up to which a record is published on the
// session's channel; a larger one is announced by a [Notice] and read from the
// log. One message must never come near Redis' output limit for subscribers.
const MaxPublished = 64 << 10

// Notice says that a commit is in the log which was too large to publish.
type Notice struct {
	Session  uuid.UUID
	Position Position
	Size     uint32 // bytes of the record's public part
}

// AppendNotice appends the channel message for n.
func AppendNotice(dst []byte, n Notice) []byte {
	dst = appendEnvelope(dst, KindNotice, 0, n.Session)
	dst = binary.BigEndian.AppendUint64(dst, uint64(n.Position.Epoch))
	dst = binary.BigEndian.AppendUint64(dst, n.Position.Version)
	dst = append(dst, n.Position.Digest[:]...)
	return binary.BigEndian.AppendUint32(dst, n.Size)
}

// ParseNotice is the inverse of [AppendNotice]. The error wraps [ErrMalformed].
func ParseNotice(b []byte) (Notice, error) {
	session, c, err := open(b, KindNotice)
	if err != nil {
		return Notice{}, err
	}
	p := Position{Epoch: Epoch(c.uint64()), Version: c.uint64(), Digest: c.digest()}
	return Notice{Session: session, Position: p, Size: c.uint32()}, c.end("notice")
}

// Ephemeral is an event without a version: it is in no log, nobody keeps it, and
// who was not there does not learn of it.
type Ephemeral struct {
	Session uuid.UUID
	Name    EventName
	Time    int64  // Unix milliseconds
	Common  []byte // the common members of api.md part 7 as JSON text without braces
	Fields  []byte // own members, likewise
}

// AppendEphemeral appends the channel message for e.
func AppendEphemeral(dst []byte, e Ephemeral) []byte {
	dst = appendEnvelope(dst, KindEphemeral, 0, e.Session)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time))
	dst = appendText(dst, string(e.Name))
	dst = appendText(dst, e.Common)
	return appendText(dst, e.Fields)
}

// ParseEphemeral is the inverse of [AppendEphemeral]; its texts point into b. The
// error wraps [ErrMalformed].
func ParseEphemeral(b []byte) (Ephemeral, error) {
	session, c, err := open(b, KindEphemeral)
	if err != nil {
		return Ephemeral{}, err
	}
	e := Ephemeral{Session: session, Time: int64(c.uint64())}
	e.Name = EventName(c.text())
	e.Common = c.text()
	e.Fields = c.text()
	return e, c.end("ephemeral event")
}

// AppendEventFrame appends the event as native clients see it: one JSON object of
// "type":"event".
func (e Ephemeral) AppendEventFrame(dst []byte) []byte {
	dst = append(dst, `{"type":"event",`...)
	if len(e.Common) > 0 {
		dst = append(append(dst, e.Common...), ',')
	} else {
		dst = append(append(dst, `"session_id":"`...), e.Session.String()...)
		dst = AppendTime(append(dst, `","timestamp":"`...), e.Time)
		dst = append(dst, `",`...)
	}
	dst = append(append(dst, `"event":"`...), e.Name...)
	dst = append(append(dst, `","data":{`...), e.Fields...)
	return append(dst, "}}"...)
}

// Deleted says that a session was deleted, and which incarnation of it.
type Deleted struct {
	Session uuid.UUID
	Epoch   Epoch
}

// AppendDeleted appends the channel message for d.
func AppendDeleted(dst []byte, d Deleted) []byte {
	dst = appendEnvelope(dst, KindDeleted, 0, d.Session)
	return binary.BigEndian.AppendUint64(dst, uint64(d.Epoch))
}

// ParseDeleted is the inverse of [AppendDeleted]. The error wraps [ErrMalformed].
func ParseDeleted(b []byte) (Deleted, error) {
	session, c, err := open(b, KindDeleted)
	if err != nil {
		return Deleted{}, err
	}
	return Deleted{Session: session, Epoch: Epoch(c.uint64())}, c.end("deletion")
}
