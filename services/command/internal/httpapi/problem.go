package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/jsonbody"
	"github.com/talus-tally/talus/services/command/internal/loadgraph"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// retryAfter is what a client is told to wait, in seconds, when it should come back.
const retryAfter = "1"

// problemMedia is the media type of RFC 9457, which clients get who ask for it.
const problemMedia = "application/problem+json"

// Problem is an error that is meant for the client, in full.
type Problem struct {
	Code    wire.Code
	Message string
	Details []byte         // JSON, nil: none
	Current *wire.Position // where the session is, if that is part of the answer
}

func (p *Problem) Error() string { return p.Message }

// refuse makes a problem without details.
func refuse(code wire.Code, message string) error { return &Problem{Code: code, Message: message} }

// problem turns every error that a handler may return into what the client is told. Errors that nobody expected are
// internal ones, whose text stays here.
func problem(err error) *Problem {
	var (
		known     *Problem
		rejection *graph.Rejection
		refusal   *loadgraph.Refusal
		template  *blueprint.ValidationError
		match     *session.MatchError
		top       *session.TopError
		trimmed   *session.TrimmedError
		ahead     *session.AheadError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &rejection):
		return &Problem{Code: wire.Code(rejection.Reason), Message: rejection.Message, Details: detailsOf(rejection.Details)}
	case errors.As(err, &refusal):
		return refusedLoad(refusal)
	case errors.As(err, &template):
		return &Problem{Code: wire.TemplateInvalid, Message: template.Error(), Details: detailsOf(template)}
	case errors.As(err, &match):
		return &Problem{Code: wire.VersionConflict, Message: match.Error(), Current: &match.Current}
	case errors.As(err, &top):
		return &Problem{Code: wire.UndoTopChanged, Message: top.Error(), Current: &top.Current}
	case errors.As(err, &trimmed):
		return &Problem{Code: wire.LogTrimmed, Message: trimmed.Error(),
			Details: strconv.AppendUint([]byte(`{"oldest_version":`), trimmed.Oldest, 10)}
	case errors.As(err, &ahead):
		return &Problem{Code: wire.LogTrimmed, Message: ahead.Error(), Current: &ahead.Head}
	}
	code, message := code(err)
	return &Problem{Code: code, Message: message}
}

// code is the table of the errors that carry nothing but their kind.
func code(err error) (wire.Code, string) {
	var field *jsonbody.FieldError
	var http *fiber.Error
	switch {
	case errors.As(err, &field):
		return wire.InvalidRequest, field.Error()
	case errors.As(err, &http):
		return httpCode(http.Code)
	case errors.Is(err, jsonbody.ErrMalformed), errors.Is(err, session.ErrScope):
		return wire.InvalidRequest, err.Error()
	case errors.Is(err, session.ErrNoSession):
		return wire.InvalidSession, "Session not found"
	case errors.Is(err, session.ErrNoProject):
		return wire.NoProject, "No project is loaded in this session"
	case errors.Is(err, session.ErrInvalidState):
		return wire.InvalidState, "No project is loaded in this session"
	case errors.Is(err, session.ErrProjectNotFound):
		return wire.ProjectNotFound, "Project not found"
	case errors.Is(err, session.ErrManySessions):
		return wire.SessionAmbiguous, "Several sessions have this project: name one as session_id"
	case errors.Is(err, blueprint.ErrNotFound):
		return wire.TemplateNotFound, "Template not found"
	case errors.Is(err, session.ErrNodeNotFound):
		return wire.NodeNotFound, "Node not found"
	case errors.Is(err, session.ErrKeyReused):
		return wire.IdempotencyReused, "The idempotency key was used with another request"
	case errors.Is(err, session.ErrTooLarge):
		return wire.PayloadTooLarge, "The change is too large"
	case errors.Is(err, session.ErrBusy):
		return wire.RateLimited, "Too many commands are waiting for this session"
	case errors.Is(err, session.ErrTorn):
		return wire.SessionDamaged, "The session is damaged and closed: delete it, and load its project into a new one"
	case errors.Is(err, session.ErrUnavailable),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return wire.Unavailable, "The service cannot answer at the moment; the same request may be repeated"
	}
	return wire.InternalError, "Internal error"
}

// httpCode names what the HTTP server itself refuses.
func httpCode(status int) (wire.Code, string) {
	switch {
	case status == fiber.StatusNotFound:
		return wire.NotFound, "There is nothing at this path"
	case status == fiber.StatusMethodNotAllowed:
		return wire.MethodNotAllowed, "This path does not have that method"
	case status == fiber.StatusRequestEntityTooLarge:
		return wire.PayloadTooLarge, "The body is too large"
	case status < fiber.StatusInternalServerError:
		return wire.InvalidRequest, "The request could not be read"
	}
	return wire.InternalError, "Internal error"
}

// detailsOf is v as JSON, nil when there is nothing to say.
func detailsOf(v any) []byte {
	if m, ok := v.(map[string]string); ok && len(m) == 0 {
		return nil
	}
	details, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return details
}

// Fail answers with the problem that err is. It is the error handler of a Fiber application that has nothing else to
// serve, and never fails itself.
func (a *API) Fail(c *fiber.Ctx, err error) error {
	p := problem(err)
	switch p.Code {
	case wire.InternalError:
		a.log.Error("request failed", "method", c.Method(), "route", c.Route().Path, "err", err)
	case wire.Unavailable:
		a.log.Warn("request could not be answered", "method", c.Method(), "route", c.Route().Path, "err", err)
	}
	if errors.Is(err, fiber.ErrRequestEntityTooLarge) {
		drain(c.Context().Conn())
	}
	if p.Code.Retryable() {
		c.Set(fiber.HeaderRetryAfter, retryAfter)
	}
	if p.Current != nil {
		setPosition(c, *p.Current)
	}
	if err := send(c, p.Code.Status(), p.append(buffer(c))); err != nil {
		return err
	}
	if strings.Contains(c.Get(fiber.HeaderAccept), problemMedia) {
		c.Response().Header.SetContentType(problemMedia)
	}
	return nil
}

// append writes the body of the answer: the error object that clients of the first program know, and around it the
// members of RFC 9457.
func (p *Problem) append(dst []byte) []byte {
	dst = wire.AppendMember(append(dst, `{"error":{`...), "code", string(p.Code))
	dst = appendText(dst, "message", p.Message)
	if p.Details != nil {
		dst = append(appendKey(dst, "details"), p.Details...)
	}
	kind := strings.ToLower(strings.ReplaceAll(string(p.Code), "_", "-"))
	dst = appendText(append(dst, '}'), "type", "urn:talus:problem:"+kind)
	dst = appendText(dst, "title", strings.ToUpper(kind[:1])+strings.ReplaceAll(kind[1:], "-", " "))
	dst = appendInt(dst, "status", p.Code.Status())
	dst = appendBool(dst, "retryable", p.Code.Retryable())
	if p.Current != nil {
		dst = strconv.AppendUint(append(dst, `,"current_version":`...), p.Current.Version, 10)
	}
	return append(dst, '}')
}
