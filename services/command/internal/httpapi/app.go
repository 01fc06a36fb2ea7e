package httpapi

import (
	"net"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// AppConfig is how a Fiber application must be made that serves the API: it lets the largest body in that a route
// accepts (smaller limits are the handlers'), and answers what no route knows with a problem.
func (a *API) AppConfig() fiber.Config {
	return fiber.Config{
		AppName:        "talus",
		BodyLimit:      max(a.cfg.Body, a.cfg.LoadBody),
		ReadBufferSize: 8 << 10,
		ReadTimeout:    2 * time.Minute, // from a request's first byte to its last
		IdleTimeout:    2 * time.Minute,

		DisablePreParseMultipartForm: true, // no route takes forms, and parsing writes files
		ErrorHandler:                 a.Fail,
		DisableStartupMessage:        true,
	}
}

// admitAnyMethod lets requests reach the routes whose method Fiber has never heard of; it would answer them by itself,
// and not with a problem. They are routed like TRACE, which no path has.
func admitAnyMethod(app *fiber.App) {
	known, next := app.Config().RequestMethods, app.Server().Handler
	app.Server().Handler = func(ctx *fasthttp.RequestCtx) {
		if !slices.Contains(known, string(ctx.Method())) {
			ctx.Request.Header.SetMethod(fiber.MethodTrace)
		}
		next(ctx)
	}
}

// Bounds of what is read of a body only to throw it away.
const (
	drainBytes = 256 << 20
	drainTime  = 10 * time.Second
	drainPause = 200 * time.Millisecond // a sender that pauses so long has sent everything
)

// drain takes in what a client still sends of a body that is too large. Without it the connection would be closed with
// bytes unread, which resets it, and the client would never see the answer.
func drain(conn net.Conn) {
	buf := make([]byte, 64<<10)
	end := time.Now().Add(drainTime)
	for total := 0; total < drainBytes && time.Now().Before(end); {
		if conn.SetReadDeadline(time.Now().Add(drainPause)) != nil {
			return
		}
		n, err := conn.Read(buf)
		if total += n; err != nil {
			return
		}
	}
}
