// Package graphevent writes what happens in a session as events of the Socket.IO namespace /graph (api.md, parts 7 and
// 10): each event is one packet, `42/graph,["name",{…}]`, in one WebSocket text message, whose payload is also what a
// polling client gets.
//
// It promises that the members of an event are spliced from the record as they are, common ones first, and that the two
// dialects differ in names only. With offsets, the last argument of each event of a commit says how far its client has
// come, to the event: see [Offset]. It reads no JSON and does no I/O.
package graphevent

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// Namespace is where the events are.
const Namespace = "/graph"

// Dialect is how events are called.
type Dialect uint8

// The dialects.
const (
	Planned Dialect = iota // graph:node-created, as in part 7
	Shipped                // node-created
)

// Name is what an event is called in the dialect.
func (d Dialect) Name(event wire.EventName) string {
	if d == Planned {
		return string(event)
	}
	switch event {
	case wire.CommandFailed:
		return "command-executed" // with success:false
	case wire.CommandUndo:
		return "undo"
	case wire.CommandRedo:
		return "redo"
	}
	name := strings.TrimPrefix(string(event), "graph:")
	return strings.ReplaceAll(name, ":", "-")
}

// AppendCommit appends the events of a commit.
func AppendCommit(dst []byte, rec wire.Record, d Dialect, offsets bool) []byte {
	shared := append(make([]byte, 0, len(rec.Common)+64), rec.Common...)
	if len(shared) > 0 {
		shared = append(shared, ',')
	}
	shared = append(rec.Epoch.AppendText(append(shared, `"epoch":"`...)), `","version":`...)
	shared = strconv.AppendUint(shared, rec.Version, 10)
	var at Offset
	var offset []byte
	if offsets {
		at = Offset{Session: rec.Session, Position: rec.Position()}
	}
	for name, fields := range rec.Events() {
		if offsets {
			if at.Events++; at.Events == rec.Len() {
				at.Events = 0
			}
			offset = at.Append(offset[:0])
		}
		dst = Append(dst, d.Name(name), shared, fields, offset)
	}
	return dst
}

// AppendEphemeral appends an event without a version.
func AppendEphemeral(dst []byte, e wire.Ephemeral, d Dialect) []byte {
	shared := e.Common
	if len(shared) == 0 {
		shared = append(wire.AppendMember(nil, "session_id", e.Session.String()), `,"timestamp":"`...)
		shared = append(wire.AppendTime(shared, e.Time), '"')
	}
	return Append(dst, d.Name(e.Name), shared, e.Fields, nil)
}

// AppendStatus appends the event that tells whether what clients see may be old.
func AppendStatus(dst []byte, session uuid.UUID, status string, d Dialect) []byte {
	return Append(dst, d.Name("session:status"), wire.AppendMember(nil, "session_id", session.String()),
		wire.AppendMember(nil, "status", status), nil)
}

// Append appends one event, with the members that events share and its own, one of which may be empty, and the offset
// unless that is empty.
func Append(dst []byte, name string, shared, own, offset []byte) []byte {
	const (
		packet = "42" + Namespace + `,["`
		middle = `",{`
	)
	n := len(packet) + len(name) + len(middle) + len(shared) + len(own) + len("}]")
	both := len(shared) > 0 && len(own) > 0
	if both {
		n++
	}
	if len(offset) > 0 {
		n += len(offset) + len(`,""`)
	}
	dst = frame.AppendHeader(dst, frame.Text, n)
	dst = append(append(append(append(dst, packet...), name...), middle...), shared...)
	if both {
		dst = append(dst, ',')
	}
	dst = append(append(dst, own...), '}')
	if len(offset) > 0 {
		dst = append(append(append(dst, `,"`...), offset...), '"')
	}
	return append(dst, ']')
}
