package sse

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/eventstream"
)

// voice is what a stream says of itself: the head of the response, beats, and how it ends. It never changes.
type voice struct {
	endpoint *Endpoint
	session  uuid.UUID
	fields   []byte // header lines for any answer
}

// fields are the headers that the handlers of a request have set so far, as lines, but for those that describe the body
// or the connection.
func fields(c *fiber.Ctx) []byte {
	own := []string{
		fiber.HeaderConnection, fiber.HeaderContentLength, fiber.HeaderContentType, fiber.HeaderDate, fiber.HeaderTransferEncoding,
	}
	var lines []byte
	c.Response().Header.VisitAll(func(key, value []byte) {
		if !slices.Contains(own, string(key)) {
			lines = appendField(lines, string(key), string(value))
		}
	})
	return slices.Clip(lines)
}

func appendField(dst []byte, name, value string) []byte {
	return append(append(append(append(dst, name...), ": "...), value...), "\r\n"...)
}

// appendStatus appends a response's beginning up to where more fields, or the empty line, follow. The response has
// neither chunks nor, if it is a stream, a length: it ends with the connection, which HTTP/1.0 and 1.1 both understand
// (RFC 9112, section 6.3).
func (v *voice) appendStatus(dst []byte, status int, contentType string) []byte {
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10)
	dst = append(append(append(dst, ' '), http.StatusText(status)...), "\r\n"...)
	dst = appendField(dst, fiber.HeaderDate, time.Now().UTC().Format(http.TimeFormat))
	dst = appendField(dst, fiber.HeaderContentType, contentType)
	dst = append(dst, v.fields...)
	return appendField(dst, fiber.HeaderConnection, "close")
}

// appendHead appends the head of a response whose body is the stream.
func (v *voice) appendHead(dst []byte) []byte {
	return append(v.appendStatus(dst, http.StatusOK, eventstream.ContentType), "\r\n"...)
}

// AppendBeat implements socket.Framing.
func (v *voice) AppendBeat(dst []byte) []byte { return eventstream.AppendBeat(dst) }

// AppendClose implements socket.Framing: the last event of a stream or, where none has begun, the response that
// refuses it.
func (v *voice) AppendClose(dst []byte, begun bool, code int, reason string) []byte {
	f := farewell{Type: "closed", Session: v.session, Code: wire.Unavailable, CloseCode: code, Message: reason}
	switch code {
	case wire.CloseNoSession:
		f.Code = wire.InvalidSession
	case wire.CloseRateLimited:
		f.Code = wire.RateLimited
	case wire.CloseRestart:
		f.Message = "this instance goes away; come back to another"
		var when struct {
			After int `json:"retry_after_ms"`
		}
		_ = json.Unmarshal([]byte(reason), &when) // a reason that is no JSON tells no time
		f.RetryAfter = when.After
	}
	f.Retryable = f.Code.Retryable()
	if !begun {
		return v.appendRefusal(dst, Refusal{f.Code, f.Message})
	}
	if f.RetryAfter > 0 {
		dst = eventstream.AppendRetry(dst, time.Duration(f.RetryAfter)*time.Millisecond)
	}
	data, _ := json.Marshal(f) // texts and numbers always have a JSON form
	return eventstream.Append(dst, nil, f.Type, data)
}

// farewell is the last event of a stream that the server ends. Its name is not error: browsers use that for the end of
// the connection itself.
type farewell struct {
	Type       string    `json:"type"`
	Session    uuid.UUID `json:"session_id"`
	Code       wire.Code `json:"code"`
	CloseCode  int       `json:"close_code"` // as over WebSocket (api.md, part 8)
	Message    string    `json:"message"`
	Retryable  bool      `json:"retryable"`
	RetryAfter int       `json:"retry_after_ms,omitempty"`
}

func (v *voice) appendRefusal(dst []byte, r Refusal) []byte {
	v.endpoint.metrics.refused(r.Code)
	body := v.endpoint.problem(r)
	dst = v.appendStatus(dst, r.Code.Status(), fiber.MIMEApplicationJSON)
	if r.Code.Retryable() {
		dst = appendField(dst, fiber.HeaderRetryAfter, "1")
	}
	dst = appendField(dst, fiber.HeaderContentLength, strconv.Itoa(len(body)))
	return append(append(dst, "\r\n"...), body...)
}
