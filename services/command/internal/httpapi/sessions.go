package httpapi

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/jsonbody"
	"github.com/talus-tally/talus/services/command/internal/render"
	"github.com/talus-tally/talus/services/command/internal/session"
)

const (
	defaultPage  = 100
	maxPage      = 1000
	defaultIdle  = 24    // hours
	maxIdleHours = 87600 // ten years: beyond it a number of hours is a mistake
)

func (a *API) createSession(c *fiber.Ctx) error {
	how, err := call(c, nil)
	if err != nil {
		return err
	}
	s, err := a.sessions.Create(c.UserContext(), how)
	if err != nil {
		return err
	}
	setPosition(c, s.Position)
	dst := render.UUID(append(buffer(c), `{"session_id":`...), s.Session)
	return send(c, fiber.StatusCreated, append(appendPosition(dst, s.Position), '}'))
}

func (a *API) listSessions(c *fiber.Ctx) error {
	most, err := limit(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	page, err := a.sessions.List(c.UserContext(), most, utils.CopyString(c.Query("cursor")))
	if err != nil {
		return err
	}
	dst := append(buffer(c), `{"sessions":[`...)
	for i, s := range page.Sessions {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendSession(append(dst, '{'), s), '}')
	}
	return send(c, fiber.StatusOK, appendPage(append(dst, ']'), page.Total, page.Next))
}

// appendPage ends a list: how many there are in all, and where the next page begins if there is one.
func appendPage(dst []byte, total int, next string) []byte {
	dst = appendInt(dst, "total", total)
	if next != "" {
		dst = appendText(dst, "cursor", next)
	}
	return append(dst, '}')
}

// appendSession writes what the list and the info of a session have in common, without a comma before it.
func appendSession(dst []byte, s session.Info) []byte {
	dst = render.UUID(append(dst, `"session_id":`...), s.Session)
	dst = appendTime(dst, "created_at", s.Created)
	dst = appendTime(dst, "last_activity", s.LastActivity)
	dst = appendInt(dst, "active_clients", s.Clients)
	return appendBool(dst, "has_project", s.HasProject())
}

func (a *API) info(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	s, err := a.sessions.Info(ctx)
	if err != nil {
		return err
	}
	setPosition(c, s.Position)
	dst := appendSession(append(buffer(c), '{'), s)
	dst = appendID(dst, "project_id", s.Project)
	dst = appendTextOrNull(dst, "template_id", s.Template)
	dst = appendBool(dst, "undo_available", s.UndoAvailable)
	dst = appendBool(dst, "redo_available", s.RedoAvailable)
	dst = appendInt(dst, "node_count", s.Nodes)
	dst = appendBool(dst, "is_dirty", s.Dirty)
	return send(c, fiber.StatusOK, append(appendPosition(dst, s.Position), '}'))
}

func (a *API) deleteSession(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	if err := a.sessions.Delete(ctx); err != nil {
		return err
	}
	c.Status(fiber.StatusNoContent)
	return nil
}

func (a *API) dirty(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	s, err := a.sessions.Info(ctx)
	if err != nil {
		return err
	}
	dst := render.UUID(append(buffer(c), `{"session_id":`...), s.Session)
	return send(c, fiber.StatusOK, append(appendBool(dst, "is_dirty", s.Dirty), '}'))
}

func (a *API) save(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	saved, err := a.sessions.Save(ctx)
	if err != nil {
		return err
	}
	return answerSaved(c, saved, "")
}

func (a *API) resetDirty(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	saved, err := a.sessions.ResetDirty(ctx)
	if err != nil {
		return err
	}
	return answerSaved(c, saved, "Session marked as clean")
}

func answerSaved(c *fiber.Ctx, s session.Saved, message string) error {
	dst := appendID(append(buffer(c), `{"success":true`...), "session_id", s.Session)
	dst = appendID(dst, "project_id", s.Project)
	dst = appendPosition(appendBool(dst, "is_dirty", s.Dirty), s.Position)
	if message != "" {
		dst = appendText(dst, "message", message)
	}
	return send(c, fiber.StatusOK, append(dst, '}'))
}

func (a *API) cleanup(c *fiber.Ctx) error {
	body, err := a.body(c, true)
	if err != nil {
		return err
	}
	hours, given, err := body.Number("max_inactive_hours")
	if err != nil {
		return err
	}
	if !given {
		hours = defaultIdle
	}
	if hours < 0 {
		return &jsonbody.FieldError{Field: "max_inactive_hours", Want: "a number of hours that is not negative"}
	}
	idle := time.Duration(min(hours, maxIdleHours) * float64(time.Hour))
	removed, active, err := a.sessions.Cleanup(c.UserContext(), idle)
	if err != nil {
		return err
	}
	dst := strconv.AppendInt(append(buffer(c), `{"sessions_removed":`...), int64(removed), 10)
	return send(c, fiber.StatusOK, append(appendInt(dst, "active_sessions", active), '}'))
}

// velocity answers with no nodes: the figures are not part of this service, but existing clients ask after every edit.
func (a *API) velocity(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	if _, err := a.sessions.Info(ctx); err != nil {
		return err
	}
	return send(c, fiber.StatusOK, append(appendNow(append(buffer(c), `{"nodes":[]`...)), '}'))
}

func (a *API) blocking(c *fiber.Ctx) error {
	ctx, err := ofPath(c)
	if err != nil {
		return err
	}
	list, err := a.sessions.Blocking(ctx)
	if err != nil {
		return err
	}
	dst := appendRelationships(append(buffer(c), `{"relationships":`...), list)
	return send(c, fiber.StatusOK, append(appendNow(dst), '}'))
}

// appendRelationships writes which node blocks which.
func appendRelationships(dst []byte, list []session.Relationship) []byte {
	dst = append(dst, '[')
	for i, r := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = render.UUID(append(dst, `{"blockedNodeId":`...), r.Blocked)
		dst = append(render.UUID(append(dst, `,"blockingNodeId":`...), r.Blocking), '}')
	}
	return append(dst, ']')
}

// appendNow writes the time of the answer in Unix milliseconds.
func appendNow(dst []byte) []byte {
	return wire.AppendNumber(append(dst, ','), "timestamp", uint64(time.Now().UnixMilli()))
}
