package edge

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/talus-tally/talus/pkg/telemetry"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/sse"
)

// Prepare sets what an application must have to serve the routes of Mount: hijacked connections are the sockets' own.
func (e *Edge) Prepare(app *fiber.App) {
	app.Server().KeepHijackedConns = true
	app.Server().ReduceMemoryUsage = true
}

// Mount adds the routes of the service, /ws, /sse and /socket.io/, to r, whose application went through Prepare and accepts
// bodies of a million bytes.
func (e *Edge) Mount(r fiber.Router) {
	r.All("/socket.io", refusing(e.polls.Serve))
	r.All("/socket.io/", refusing(e.polls.Serve))
	r.Get("/ws", refusing(e.sockets.Upgrade))
	r.All("/sse", e.crossOrigin, refusing(e.streams.Serve))
}

// refusing answers the errors of a handler, whatever the application around it does with errors.
func refusing(h fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := h(c); err != nil {
			return refuse(c, err)
		}
		return nil
	}
}

// crossOrigin lets the pages of allowed origins read what follows, and answers preflights (Fetch standard, 3.2). Browsers
// ask before a request with Last-Event-ID that is not EventSource's own.
func (e *Edge) crossOrigin(c *fiber.Ctx) error {
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	preflight := c.Method() == fiber.MethodOptions && c.Get(fiber.HeaderAccessControlRequestMethod) != ""
	if origin != "" && e.door.origins.Allow(origin, c.Get(fiber.HeaderHost)) {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		c.Set(fiber.HeaderAccessControlExposeHeaders, "Retry-After, Allow")
		if preflight {
			c.Set(fiber.HeaderAccessControlAllowMethods, "GET, OPTIONS")
			c.Set(fiber.HeaderAccessControlAllowHeaders, "Accept, Authorization, Cache-Control, Last-Event-ID")
			c.Set(fiber.HeaderAccessControlMaxAge, "600")
		}
	}
	if preflight {
		return c.SendStatus(fiber.StatusNoContent)
	}
	return c.Next()
}

// beyond is by how much bodies may be too large, in bytes: only Socket.IO takes some, and refuses those itself.
const beyond = 64 << 10

// app is the application on the instance's own listener.
func (e *Edge) app() *fiber.App {
	app := fiber.New(fiber.Config{
		AppName:               "talus edge",
		DisableStartupMessage: true,
		ReduceMemoryUsage:     true,
		BodyLimit:             int(e.cfg.MaxPayload) + beyond,
		ReadBufferSize:        8 << 10, // bounds the headers of a request
		ReadTimeout:           e.cfg.Handshake,
		IdleTimeout:           time.Minute,
		ErrorHandler:          e.door.late,
	})
	e.Prepare(app)
	app.Get("/livez", adaptor.HTTPHandler(e.health.Livez()))
	app.Get("/readyz", adaptor.HTTPHandler(e.health.Readyz()))
	app.Get("/metrics", adaptor.HTTPHandler(telemetry.MetricsHandler(e.registry)))
	app.Get("/api/v1/health", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) })
	e.Mount(app)
	app.Use(func(*fiber.Ctx) error { return fiber.ErrNotFound })
	return app
}

// answer is the body of a refusal (api.md, part 1).
type answer struct {
	Error struct {
		Code    wire.Code `json:"code"`
		Message string    `json:"message"`
	} `json:"error"`
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Retryable bool   `json:"retryable"`
}

// refuse answers an error as JSON. What is not meant for clients does not reach them.
func refuse(c *fiber.Ctx, err error) error {
	name, status, message := wire.InternalError, http.StatusInternalServerError, "internal error"
	var known *fiber.Error
	var refusal *sse.Refusal
	switch {
	case errors.As(err, &known):
		name, status, message = code(known.Code), known.Code, known.Message
	case errors.As(err, &refusal):
		name, status, message = refusal.Code, refusal.Code.Status(), refusal.Message
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(status).Send(problem(name, status, message))
}

// problemOf is the body of a refusal with the status of its code.
func problemOf(code wire.Code, message string) []byte { return problem(code, code.Status(), message) }

// problem is the body of a refusal.
func problem(name wire.Code, status int, message string) []byte {
	a := answer{Type: "about:blank", Title: http.StatusText(status), Status: status, Retryable: name.Retryable()}
	a.Error.Code, a.Error.Message = name, message
	body, _ := json.Marshal(a) // texts and numbers always have a JSON form
	return body
}

// code names a refusal of this service by its status.
func code(status int) wire.Code {
	switch {
	case status == http.StatusNotFound:
		return wire.NotFound
	case status == http.StatusMethodNotAllowed:
		return wire.MethodNotAllowed
	case status == http.StatusForbidden:
		return wire.Forbidden
	case status == http.StatusRequestEntityTooLarge:
		return wire.PayloadTooLarge
	case status == http.StatusTooManyRequests:
		return wire.RateLimited
	case status == http.StatusServiceUnavailable:
		return wire.Unavailable
	case status < http.StatusInternalServerError:
		return wire.InvalidRequest
	default:
		return wire.InternalError
	}
}
