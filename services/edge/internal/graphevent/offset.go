package graphevent

import (
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// ErrOffset is the error of [ParseOffset].
var ErrOffset = errors.New("graphevent: not an offset")

// Offset is how far a client has come in a session: to the end of the commit that leads to Position or, as a connection may
// end between two events, to some event before its last one. Its text is "<session>/<position>" or
// "<session>/<position>+<events>".
type Offset struct {
	Session  uuid.UUID
	Position wire.Position
	Events   int // of the commit, received; 0: all of them
}

// Append appends the text of the offset.
func (o Offset) Append(dst []byte) []byte {
	dst = o.Position.Append(append(append(dst, o.Session.String()...), '/'))
	if o.Events > 0 {
		dst = strconv.AppendInt(append(dst, '+'), int64(o.Events), 10)
	}
	return dst
}

// ParseOffset is the inverse of Append. The error is ErrOffset.
func ParseOffset(text string) (Offset, error) {
	session, rest, _ := strings.Cut(text, "/")
	position, events, partly := strings.Cut(rest, "+")
	var o Offset
	var err error
	if o.Session, err = uuid.Parse(session); err != nil || len(session) != 36 {
		return Offset{}, ErrOffset
	}
	if o.Position, err = wire.ParsePosition(position); err != nil {
		return Offset{}, ErrOffset
	}
	if partly {
		o.Events, err = strconv.Atoi(events)
		if err != nil || o.Events < 1 || strconv.Itoa(o.Events) != events {
			return Offset{}, ErrOffset
		}
	}
	return o, nil
}

// After is what follows the first n events of a commit's frame; nothing if there are not so many.
func After(text []byte, n int) []byte {
	for ; n > 0; n-- {
		_, _, size := frame.Next(text)
		if size == 0 {
			return nil
		}
		text = text[size:]
	}
	return text
}
