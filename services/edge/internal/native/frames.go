package native

import (
	"encoding/json"
	"strconv"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// framed is text as one WebSocket message.
func framed(text []byte) []byte { return frame.AppendText(make([]byte, 0, len(text)+4), text) }

// begin appends the beginning of a frame: type and, if the request had one, id.
func begin(dst []byte, kind string, id []byte) []byte {
	dst = append(append(append(dst, `{"type":"`...), kind...), '"')
	if id != nil {
		dst = append(append(dst, `,"id":`...), id...)
	}
	return dst
}

func appendSession(dst []byte, session uuid.UUID) []byte {
	return append(append(append(dst, `,"session_id":"`...), session.String()...), '"')
}

// appendPosition appends where a subscription stands in the three forms of it.
func appendPosition(dst []byte, at hub.Start) []byte {
	dst = at.Position.Epoch.AppendText(append(dst, `,"epoch":"`...))
	dst = strconv.AppendUint(append(dst, `","version":`...), at.Position.Version, 10)
	return append(at.Position.Append(append(dst, `,"position":"`...)), '"')
}

// AppendJoined appends the frame that begins a subscription. The id is the JSON text
// of the request's, nil if it had none.
func AppendJoined(dst, id []byte, client, session uuid.UUID, at hub.Start) []byte {
	dst = appendSession(begin(dst, "joined", id), session)
	dst = append(append(append(dst, `,"client_id":"`...), client.String()...), '"')
	dst = appendPosition(dst, at)
	dst = strconv.AppendInt(append(dst, `,"client_count":`...), int64(at.Clients), 10)
	dst = strconv.AppendBool(append(dst, `,"resumed":`...), at.Resumed)
	return append(dst, '}')
}

// AppendResync appends the frame that sends a client to a state behind a hole or on
// another branch.
func AppendResync(dst []byte, session uuid.UUID, at hub.Start) []byte {
	dst = appendPosition(appendSession(begin(dst, "resync", nil), session), at)
	return append(append(append(dst, `,"reason":"`...), at.Reason...), `"}`...)
}

func appendLeft(dst, id []byte, session uuid.UUID) []byte {
	return append(appendSession(begin(dst, "left", id), session), '}')
}

func appendPong(dst, id []byte) []byte { return append(begin(dst, "pong", id), '}') }

// appendResult appends the answer to a command: status and body are those of REST.
func appendResult(dst, id []byte, a commands.Answer) []byte {
	dst = strconv.AppendInt(append(begin(dst, "result", id), `,"http_status":`...), int64(a.Status), 10)
	if a.Replayed {
		dst = append(dst, `,"replayed":true`...)
	}
	return append(append(append(dst, `,"body":`...), a.Body...), '}')
}

func appendError(dst, id []byte, p problem) []byte {
	message, _ := json.Marshal(p.message) // a string always has a JSON form
	dst = append(append(begin(dst, "error", id), `,"code":"`...), p.code...)
	dst = append(append(dst, `","message":`...), message...)
	dst = strconv.AppendBool(append(dst, `,"retryable":`...), p.code.Retryable())
	return append(dst, '}')
}
