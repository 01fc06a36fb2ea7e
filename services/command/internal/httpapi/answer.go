package httpapi

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/render"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// buffer is the response's own body buffer, empty. What is appended to it goes out with send.
func buffer(c *fiber.Ctx) []byte { return c.Response().SwapBody(nil)[:0] }

// send answers with a JSON body that was appended to buffer.
func send(c *fiber.Ctx, status int, body []byte) error {
	resp := c.Response()
	resp.SwapBody(body)
	resp.Header.SetContentType(fiber.MIMEApplicationJSON)
	resp.SetStatusCode(status)
	return nil
}

// sendObject answers with members that were appended to buffer, each with the comma before it.
func sendObject(c *fiber.Ctx, status int, members []byte) error {
	members[0] = '{'
	return send(c, status, append(members, '}'))
}

// The append functions write one JSON member with the comma before it; key is written as it is.

func appendID(dst []byte, key string, id uuid.UUID) []byte {
	return render.UUIDOrNull(appendKey(dst, key), id)
}

func appendBool(dst []byte, key string, v bool) []byte {
	return strconv.AppendBool(appendKey(dst, key), v)
}

func appendInt(dst []byte, key string, v int) []byte {
	return strconv.AppendInt(appendKey(dst, key), int64(v), 10)
}

func appendText(dst []byte, key, v string) []byte { return wire.AppendString(appendKey(dst, key), v) }

// appendTextOrNull writes null for the empty text.
func appendTextOrNull(dst []byte, key, v string) []byte {
	if v == "" {
		return append(appendKey(dst, key), "null"...)
	}
	return appendText(dst, key, v)
}

// appendTime writes null for the zero time.
func appendTime(dst []byte, key string, t time.Time) []byte {
	if dst = appendKey(dst, key); t.IsZero() {
		return append(dst, "null"...)
	}
	return append(wire.AppendTime(append(dst, '"'), t.UnixMilli()), '"')
}

func appendKey(dst []byte, key string) []byte {
	return append(append(append(dst, ',', '"'), key...), '"', ':')
}

// appendVersion writes the epoch and the version of p.
func appendVersion(dst []byte, p wire.Position) []byte {
	dst = append(p.Epoch.AppendText(append(dst, `,"epoch":"`...)), '"')
	return strconv.AppendUint(append(dst, `,"version":`...), p.Version, 10)
}

// appendPosition writes the epoch, the version and the position itself.
func appendPosition(dst []byte, p wire.Position) []byte {
	return append(p.Append(append(appendVersion(dst, p), `,"position":"`...)), '"')
}

// appendGraph writes the member graph, and the version it shows when that is another one than the answer's.
func appendGraph(dst []byte, g *session.Body, p wire.Position) []byte {
	if g == nil {
		return dst
	}
	dst = append(append(dst, `,"graph":`...), g.JSON...)
	if g.Position != p {
		dst = strconv.AppendUint(append(dst, `,"graph_version":`...), g.Position.Version, 10)
	}
	return dst
}

// appendOutcome writes what the answers to commands, undo and redo have in common.
func appendOutcome(dst []byte, r session.Result) []byte {
	dst = appendPosition(append(dst, `{"success":true`...), r.Position)
	dst = appendGraph(dst, r.Graph, r.Position)
	dst = appendBool(dst, "undo_available", r.UndoAvailable)
	dst = appendBool(dst, "redo_available", r.RedoAvailable)
	return appendBool(dst, "is_dirty", r.Dirty)
}

// appendEvents writes the events of a commit in the form of the commit frames.
func appendEvents(dst []byte, events []wire.Event) []byte {
	dst = append(dst, `,"events":[`...)
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(wire.AppendString(append(dst, `{"event":`...), string(e.Name)), `,"data":{`...)
		dst = append(append(dst, e.Fields...), `}}`...)
	}
	return append(dst, ']')
}

// mark sets the headers that tell the state and whether the answer is a repeated one.
func mark(c *fiber.Ctx, p wire.Position, replayed bool) {
	setPosition(c, p)
	if replayed {
		c.Set("Idempotency-Replayed", "true")
	}
}
