package relay

import (
	"errors"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

var errUnregistered = errors.New("relay: other edges cannot find this one yet")

// hop marks a request that was passed on once. From a client it only means that it will not be.
const hop = "X-Talus-Hop"

// Pass serves a request whose session is not here, if it is on another edge. False means that the session is unknown;
// nothing was answered then.
func (r *Relay) Pass(c *fiber.Ctx, session string) (bool, error) {
	if c.Get(hop) != "" || r.life.Err() != nil {
		return false, nil
	}
	address := r.address(ownerOf(session))
	if address == "" {
		return false, nil
	}
	if websocket.IsWebSocketUpgrade(c) {
		return r.upgrade(c, address)
	}
	return r.request(c, address), nil
}

// request passes a poll or a post on and answers with what comes back.
func (r *Relay) request(c *fiber.Ctx, address string) bool {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	c.Request().CopyTo(req)
	req.Header.Set(hop, r.id)
	req.Header.Del(fiber.HeaderConnection)
	req.Header.SetNoDefaultContentType(true)
	req.UseHostHeader = true
	req.SetHost(address)
	req.Header.SetHostBytes(c.Request().Host())
	if err := r.client.DoDeadline(req, res, time.Now().Add(r.cfg.Within)); err != nil {
		r.failed("request", err)
		return false
	}
	r.passed.WithLabelValues("request", "ok").Inc()
	res.Header.Del(fiber.HeaderConnection)
	res.CopyTo(c.Response())
	return true
}

func (r *Relay) failed(kind string, err error) {
	r.passed.WithLabelValues(kind, "failed").Inc()
	r.log.Debug("request cannot be passed on", "kind", kind, "err", err)
}
