package httpapi

import (
	"context"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/command/internal/jsonbody"
	"github.com/talus-tally/talus/services/command/internal/render"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// stateDepth is how many entries of each stack the state shows.
const stateDepth = 20

func (a *API) undo(c *fiber.Ctx) error { return a.unwind(c, a.sessions.Undo, "undone") }

func (a *API) redo(c *fiber.Ctx) error { return a.unwind(c, a.sessions.Redo, "redone") }

// unwind carries out an undo or a redo; field names what it acted on in the answer.
func (a *API) unwind(
	c *fiber.Ctx, do func(context.Context, session.UndoRequest, session.Call) (session.Result, error), field string,
) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	body, err := a.body(c, true)
	if err != nil {
		return err
	}
	request, err := undoRequest(body)
	if err != nil {
		return err
	}
	how, err := a.commandCall(c, body)
	if err != nil {
		return err
	}
	r, err := do(ctx, request, how)
	if err != nil {
		return err
	}
	mark(c, r.Position, r.Replayed)
	dst := appendUndone(appendKey(appendOutcome(buffer(c), r), field), r.Undone)
	if r.Events != nil {
		dst = appendEvents(dst, r.Events)
	}
	return send(c, fiber.StatusOK, append(dst, '}'))
}

func undoRequest(body jsonbody.Object) (session.UndoRequest, error) {
	scope, given, err := body.Text("scope")
	if err != nil {
		return session.UndoRequest{}, err
	}
	request := session.UndoRequest{Scope: session.Scope(scope)}
	if given && request.Scope != session.ScopeSession && request.Scope != session.ScopeActor {
		return session.UndoRequest{}, &jsonbody.FieldError{Field: "scope", Want: `"session" or "actor"`}
	}
	top, given, err := body.Count("expect_top")
	if given {
		request.ExpectTop = &top
	}
	return request, err
}

func (a *API) state(c *fiber.Ctx) error {
	ctx, err := ofRequest(c, c.Query("session_id"))
	if err != nil {
		return err
	}
	s, err := a.sessions.State(ctx, stateDepth)
	if err != nil {
		return err
	}
	setPosition(c, s.Position)
	dst := appendBool(buffer(c), "undo_available", s.UndoDepth > 0)
	dst = appendBool(dst, "redo_available", s.RedoDepth > 0)
	dst = appendInt(dst, "history_count", s.UndoDepth)
	dst = appendStack(appendKey(dst, "undo"), s.Undo)
	dst = appendStack(appendKey(dst, "redo"), s.Redo)
	return sendObject(c, fiber.StatusOK, dst)
}

func appendStack(dst []byte, stack []session.Undone) []byte {
	dst = append(dst, '[')
	for i := range stack {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendUndone(dst, &stack[i])
	}
	return append(dst, ']')
}

// appendUndone writes the command that an undo or redo acted on, or null.
func appendUndone(dst []byte, u *session.Undone) []byte {
	if u == nil {
		return append(dst, "null"...)
	}
	dst = render.UUIDOrNull(append(dst, `{"command_id":`...), u.Command)
	dst = appendText(dst, "command_type", u.Type)
	dst = strconv.AppendUint(append(dst, `,"version":`...), u.Version, 10)
	return append(appendTextOrNull(dst, "actor", u.Actor), '}')
}
