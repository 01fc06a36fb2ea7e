package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// Presence is what session:connected and session:disconnected say: how many clients
// a session has, and who made the difference.
type Presence struct {
	Client uuid.UUID // who came or went; uuid.Nil: several, or clients of a lost edge
	Count  uint64    // clients of the session over all edges
	Seq    uint64    // of two announcements the one with the higher number is the newer
	Prev   uint64    // the number of the one before; 0: there was none, or that is not known
}

// AppendPresence appends p as the own members of an event, in the one spelling that
// [ParsePresence] reads.
func AppendPresence(dst []byte, p Presence) []byte {
	dst = append(dst, `"client_id":`...)
	if p.Client == uuid.Nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(append(append(dst, '"'), p.Client.String()...), '"')
	}
	dst = AppendNumber(append(dst, ','), "client_count", p.Count)
	dst = AppendNumber(append(dst, ','), "seq", p.Seq)
	if p.Prev == 0 {
		return dst
	}
	return AppendNumber(append(dst, ','), "prev", p.Prev)
}

// ParsePresence is the inverse of [AppendPresence]. The error wraps [ErrMalformed].
func ParsePresence(fields []byte) (Presence, error) {
	var p Presence
	who, rest, ok := bytes.Cut(fields, []byte(`,"client_count":`))
	count, rest, found := bytes.Cut(rest, []byte(`,"seq":`))
	seq, prev, chained := bytes.Cut(rest, []byte(`,"prev":`))
	who, named := bytes.CutPrefix(who, []byte(`"client_id":`))
	var errID, errCount, errSeq, errPrev error
	if string(who) != "null" {
		p.Client, errID = uuid.ParseBytes(bytes.Trim(who, `"`))
	}
	p.Count, errCount = strconv.ParseUint(string(count), 10, 64)
	p.Seq, errSeq = strconv.ParseUint(string(seq), 10, 64)
	if chained {
		p.Prev, errPrev = strconv.ParseUint(string(prev), 10, 64)
	}
	if !ok || !found || !named || errors.Join(errID, errCount, errSeq, errPrev) != nil {
		return Presence{}, fmt.Errorf("%w: presence %q", ErrMalformed, fields)
	}
	return p, nil
}
