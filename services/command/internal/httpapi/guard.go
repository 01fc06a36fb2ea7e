package httpapi

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/pkg/wire"
)

// What browsers may send and see across origins.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	corsRequest = "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, " +
		"traceparent, tracestate, X-Actor, X-Requested-With, X-Session-ID"
	corsResponse = "ETag, Idempotency-Replayed, Preference-Applied, Retry-After, Allow"
	corsMaxAge   = "600"
)

// Origins are the origins whose pages may call the API, such as "https://plan.example"; "*" admits all. An allowed
// origin is echoed, never answered with "*", because credentials are allowed.
type Origins []string

// Allow reports whether a page of that origin may read answers.
func (o Origins) Allow(origin string) bool {
	return slices.ContainsFunc(o, func(allowed string) bool {
		return allowed == "*" || strings.EqualFold(strings.TrimSuffix(allowed, "/"), origin)
	})
}

// guard surrounds every handler: origins, deadline, panics, problems, metrics.
func (a *API) guard(c *fiber.Ctx) (err error) {
	start := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			a.log.Error("handler panicked", "route", c.Route().Path, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = a.Fail(c, refuse(wire.InternalError, "Internal error"))
		}
		a.seconds.WithLabelValues(c.Method(), c.Route().Path, strconv.Itoa(c.Response().StatusCode())).
			Observe(time.Since(start).Seconds())
	}()
	if a.cfg.Origins.crossOrigin(c) {
		return c.SendStatus(fiber.StatusNoContent)
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.timeout(c))
	defer cancel()
	c.SetUserContext(ctx)
	if err := c.Next(); err != nil {
		return a.Fail(c, err)
	}
	return nil
}

// timeout is the time that the request may take as a whole. A request that is nothing but a command has the command's:
// then one timer is enough.
func (a *API) timeout(c *fiber.Ctx) time.Duration {
	path := c.Path()
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "load-graph", "load", "save":
		return a.cfg.LoadTimeout
	case "execute", "batch", "undo", "redo":
		return min(a.cfg.Timeout, a.sessions.Deadline())
	}
	return a.cfg.Timeout
}

// crossOrigin sets the headers of the Fetch standard's CORS protocol and reports whether the request was a preflight,
// which is thereby answered.
func (o Origins) crossOrigin(c *fiber.Ctx) bool {
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	preflight := c.Method() == fiber.MethodOptions && c.Get(fiber.HeaderAccessControlRequestMethod) != ""
	if origin == "" || !o.Allow(origin) {
		return preflight
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	c.Set(fiber.HeaderAccessControlExposeHeaders, corsResponse)
	if preflight {
		c.Set(fiber.HeaderAccessControlAllowMethods, corsMethods)
		c.Set(fiber.HeaderAccessControlAllowHeaders, corsRequest)
		c.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
	}
	return preflight
}
