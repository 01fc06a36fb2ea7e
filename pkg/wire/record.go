package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"

	"github.com/google/uuid"
)

// Flags say how a record must be handled.
type Flags uint8

// FlagIncomplete marks a commit whose events do not carry all that it changed
// (project:loaded with a graph that is too large to send): a replica fetches the
// graph instead of applying them.
const FlagIncomplete Flags = 1

// Header is what a reader needs to know of a commit without looking inside.
type Header struct {
	Session uuid.UUID
	Command uuid.UUID // unique for each commit, so that equal commands on two branches differ
	Epoch   Epoch
	Version uint64 // 1, 2, 3 …
	Prev    Digest // digest of Version-1
	Time    int64  // Unix milliseconds; for people, never for order
	Flags   Flags
}

// Event is one event of a commit. Fields are its own members as JSON text without
// the braces, `"node_id":"…","id":"…"`; they may be empty.
type Event struct {
	Name   EventName
	Fields []byte
}

// Record is a view of a commit's public part. Its byte slices point into Raw.
//
// A record is stored as the entry "<version>-0" of the session's stream with two
// fields: "r" is Raw, the public part, which is also what the channel carries; "d"
// is the [Delta], which only writers read. After the envelope Raw holds
//
//	20  command 16 · epoch 8 · version 8 · prev 8
//	60  digest 8
//	68  time 8 · length of the common members 4 · number of events 4
//	84  common members · for each event: length 1, name, length 4, members
type Record struct {
	Header
	Digest Digest
	Common []byte // members that every event of the commit shares, JSON text without braces
	Raw    []byte

	count  uint32
	events []byte
}

const (
	digestAt     = 60
	digestEnd    = 68
	recordHeader = 84
	maxEventName = math.MaxUint8
)

// Build makes the record of a commit and chains it: its digest covers the header,
// with it the digest before, everything public and the delta.
func Build(h Header, common []byte, events []Event, delta []byte) Record {
	size := recordHeader + len(common)
	for _, e := range events {
		size += 1 + len(e.Name) + 4 + len(e.Fields)
	}
	raw := appendEnvelope(make([]byte, 0, size), KindRecord, h.Flags, h.Session)
	raw = append(raw, h.Command[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(h.Epoch))
	raw = binary.BigEndian.AppendUint64(raw, h.Version)
	raw = append(raw, h.Prev[:]...)
	raw = append(raw, make([]byte, digestEnd-digestAt)...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(h.Time))
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(common)))
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(events)))
	raw = append(raw, common...)
	body := len(raw)
	for _, e := range events {
		name := e.Name[:min(len(e.Name), maxEventName)]
		raw = append(raw, byte(len(name)))
		raw = append(raw, name...)
		raw = appendText(raw, e.Fields)
	}
	digest := digestOf(raw, delta)
	copy(raw[digestAt:digestEnd], digest[:])
	return Record{
		Header: h, Digest: digest, Common: raw[recordHeader:body:body], Raw: raw,
		count: uint32(len(events)), events: raw[body:],
	}
}

func digestOf(raw, delta []byte) Digest {
	h := sha256.New()
	h.Write(raw[:digestAt])
	h.Write(raw[digestEnd:])
	h.Write(delta)
	var sum [sha256.Size]byte
	return Digest(h.Sum(sum[:0])[:8])
}

// ParseRecord reads the public part of a record without copying it. The error
// wraps [ErrMalformed]; the events are checked too, so that reading them later
// cannot fail.
func ParseRecord(raw []byte) (Record, error) {
	session, c, err := open(raw, KindRecord)
	if err != nil {
		return Record{}, err
	}
	r := Record{Raw: raw, Header: Header{Session: session, Flags: Flags(raw[3])}}
	r.Command = c.id()
	r.Epoch = Epoch(c.uint64())
	r.Version = c.uint64()
	r.Prev = c.digest()
	r.Digest = c.digest()
	r.Time = int64(c.uint64())
	commonLen := c.uint32()
	r.count = c.uint32()
	r.Common = c.bytes(uint64(commonLen))
	r.events = c.rest
	for i := uint32(0); i < r.count && !c.failed; i++ {
		c.bytes(uint64(c.uint8()))
		c.text()
	}
	if err := c.end("record"); err != nil {
		return Record{}, err
	}
	if r.Version == 0 {
		return Record{}, fmt.Errorf("%w: record of version 0", ErrMalformed)
	}
	return r, nil
}

// Position is the state that the commit leads to.
func (r Record) Position() Position {
	return Position{Epoch: r.Epoch, Version: r.Version, Digest: r.Digest}
}

// VerifyDelta reports whether delta is the one that was committed with the record.
func (r Record) VerifyDelta(delta []byte) bool {
	return len(r.Raw) >= recordHeader && digestOf(r.Raw, delta) == r.Digest
}

// Follows reports whether the record is the commit right after p, on p's branch.
func (r Record) Follows(p Position) bool {
	return r.Epoch == p.Epoch && r.Version == p.Version+1 && r.Prev == p.Digest
}

// Len is the number of events.
func (r Record) Len() int { return int(r.count) }

// Events are the events in order, each with its own members as JSON text without
// the braces. The slices point into the record.
func (r Record) Events() iter.Seq2[EventName, []byte] {
	return func(yield func(EventName, []byte) bool) {
		for name, fields := range r.spliced() {
			if !yield(EventName(name), fields) {
				return
			}
		}
	}
}

func (r Record) spliced() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, fields []byte) bool) {
		c := cursor{rest: r.events}
		for range r.count {
			name := c.bytes(uint64(c.uint8()))
			fields := c.text()
			if c.failed || !yield(name, fields) {
				return
			}
		}
	}
}

// AppendCommitFrame appends the commit as native clients, SSE clients and the
// events route see it: one JSON object of "type":"commit". Only the position is
// written here; all other text is the command service's.
func (r Record) AppendCommitFrame(dst []byte) []byte {
	dst = append(dst, `{"type":"commit",`...)
	if len(r.Common) > 0 {
		dst = append(append(dst, r.Common...), ',')
	}
	dst = append(r.Epoch.AppendText(append(dst, `"epoch":"`...)), `","version":`...)
	dst = strconv.AppendUint(dst, r.Version, 10)
	dst = r.Position().Append(append(dst, `,"position":"`...))
	dst = r.Prev.AppendText(append(dst, `","prev":"`...))
	dst = append(dst, `","events":[`...)
	first := true
	for name, fields := range r.spliced() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, `{"event":"`...), name...)
		dst = append(append(dst, `","data":{`...), fields...)
		dst = append(dst, "}}"...)
	}
	return append(dst, "]}"...)
}
