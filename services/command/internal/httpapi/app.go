package httpapi

import (
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// AppConfig is how a Fiber application must be made that serves the API: it lets the largest body in that a route
// accepts (smaller limits are the handlers'), and answers what no route knows with a problem.
func (a *API) AppConfig() fiber.Config {
	return fiber.Config{
		AppName:               "talus",
		BodyLimit:             max(a.cfg.Body, a.cfg.LoadBody),
		ReadBufferSize:        8 << 10,
		IdleTimeout:           2 * time.Minute,
		ErrorHandler:          a.Fail,
		DisableStartupMessage: true,
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
