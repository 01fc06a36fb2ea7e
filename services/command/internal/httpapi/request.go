package httpapi

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/jsonbody"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// body reads the request's JSON object. It is a copy: what is taken out of it may be kept. A missing body is refused
// unless it is optional, in which case it is the empty object.
func (a *API) body(c *fiber.Ctx, optional bool) (jsonbody.Object, error) {
	raw, err := a.rawBody(c, a.cfg.Body)
	if err != nil || len(raw) == 0 && optional {
		return nil, err
	}
	return jsonbody.Parse(raw, a.cfg.Depth)
}

// rawBody returns a copy of the body, which has at most limit bytes and calls itself JSON if there is one. A compressed
// body is refused: what it unfolds to has no bound.
func (a *API) rawBody(c *fiber.Ctx, limit int) ([]byte, error) {
	raw := c.Request().Body()
	if len(raw) > limit {
		return nil, refuse(wire.PayloadTooLarge, fmt.Sprintf("the body must not be larger than %d bytes", limit))
	}
	if len(raw) == 0 {
		return nil, nil
	}
	if coding := c.Get(fiber.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, refuse(wire.InvalidRequest, "compressed bodies are not accepted")
	}
	media, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media != fiber.MIMEApplicationJSON && !(strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")) {
		return nil, refuse(wire.InvalidRequest, "the Content-Type of the body must be application/json")
	}
	return append(make([]byte, 0, len(raw)), raw...), nil
}

// inSession returns a context for the session that text names. What is no id names no session.
func inSession(ctx context.Context, text string) (context.Context, error) {
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil || len(text) != 36 {
		return nil, session.ErrNoSession
	}
	return session.NewContext(ctx, id), nil
}

// ofPath returns a context for the session that the path names.
func ofPath(c *fiber.Ctx) (context.Context, error) {
	return inSession(c.UserContext(), c.Params("session"))
}

// ofRequest returns a context for the session that the field or query value session_id names, else X-Session-ID.
func ofRequest(c *fiber.Ctx, named string) (context.Context, error) {
	if named == "" {
		named = c.Get("X-Session-ID")
	}
	if named == "" {
		return nil, refuse(wire.InvalidRequest, "session_id is required")
	}
	return inSession(c.UserContext(), named)
}

// projectID reads the id of a project from the path.
func projectID(c *fiber.Ctx) (uuid.UUID, error) {
	text := c.Params("project")
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil || len(text) != 36 {
		return uuid.Nil, session.ErrProjectNotFound
	}
	return id, nil
}

// call reads what the request's headers and the body's command_id say about how it is to be carried out.
func call(c *fiber.Ctx, body jsonbody.Object) (session.Call, error) {
	key, err := idempotencyKey(c)
	if err != nil {
		return session.Call{}, err
	}
	who, err := actor(c)
	if err != nil {
		return session.Call{}, err
	}
	id, err := body.UUID("command_id")
	if err != nil {
		return session.Call{}, err
	}
	if key == "" && id != uuid.Nil {
		key = id.String()
	}
	out := session.Call{Actor: who, Key: key, CommandID: id, IfMatch: condition(c)}
	if key != "" {
		out.Fingerprint = fingerprint(c, who)
	}
	return out, nil
}

// condition reads the If-Match header. One that names no position of ours accepts no state.
func condition(c *fiber.Ctx) session.Match {
	t := entityTags(c.Get(fiber.HeaderIfMatch))
	if !t.given {
		return session.Match{}
	}
	return session.Match{Any: t.any, Positions: append([]wire.Position{}, t.positions...)}
}

// fingerprint tells requests under the same key apart: the first 16 bytes of SHA-256 over the actor, the method, the
// path and the body without insignificant white space.
func fingerprint(c *fiber.Ctx, who string) [16]byte {
	h := sha256.New()
	for _, part := range []string{who, c.Method(), c.Path()} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	body := c.Request().Body()
	for start, inString, i := 0, false, 0; i <= len(body); i++ {
		switch {
		case i == len(body):
			h.Write(body[start:i])
		case inString && body[i] == '\\':
			i++
		case body[i] == '"':
			inString = !inString
		case !inString && body[i] <= ' ':
			h.Write(body[start:i])
			start = i + 1
		}
	}
	return [16]byte(h.Sum(nil))
}

// limit reads the query value limit, from 1 to most; def when it is missing.
func limit(c *fiber.Ctx, def, most int) (int, error) {
	text := c.Query("limit")
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, refuse(wire.InvalidRequest, "query value limit must be a whole number from 1")
	}
	return min(n, most), nil
}
