package engineio

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// refusal is an error of the protocol (part 1.1). The code is negative if the protocol has none for it.
type refusal struct {
	code    int
	status  int
	message string
}

// Error is the message.
func (r *refusal) Error() string { return r.message }

// The refusals; those from 0 on have their numbers on the wire.
var (
	unknownTransport   = &refusal{0, http.StatusBadRequest, "Transport unknown"}
	unknownSession     = &refusal{1, http.StatusBadRequest, "Session ID unknown"}
	badMethod          = &refusal{2, http.StatusBadRequest, "Bad handshake method"}
	badRequest         = &refusal{3, http.StatusBadRequest, "Bad request"}
	forbidden          = &refusal{4, http.StatusForbidden, "Forbidden"}
	unsupportedVersion = &refusal{5, http.StatusBadRequest, "Unsupported protocol version"}
	tooLarge           = &refusal{-1, http.StatusRequestEntityTooLarge, ""}
	tooMany            = &refusal{-1, http.StatusTooManyRequests, "Too many packets"}
)

// Serve is the Fiber handler of all methods at the path of the endpoint, with and without a slash at its end. It answers
// every request itself; errors are those of Config.Unknown.
func (s *Server) Serve(c *fiber.Ctx) error {
	allowed := s.crossOrigin(c)
	if c.Method() == fiber.MethodOptions {
		return s.preflight(c, allowed)
	}
	c.Set(fiber.HeaderCacheControl, noStore)
	upgrade := websocket.IsWebSocketUpgrade(c)
	err := s.classify(c, allowed, upgrade)
	var passed *passedOn
	if errors.As(err, &passed) {
		return passed.err
	}
	if errors.Is(err, forbidden) {
		s.cfg.Refused("origin")
	}
	if err != nil {
		s.refuse(c.Response(), err, upgrade)
	}
	return nil
}

// What stands in headers.
const (
	noStore   = "no-store"
	textPlain = "text/plain; charset=UTF-8"
)

// passedOn is the result of Config.Unknown.
type passedOn struct{ err error }

func (p *passedOn) Error() string { return "engineio: passed on" }

// classify finds out what a request wants, in the order of part 1.1.
func (s *Server) classify(c *fiber.Ctx, allowed, upgrade bool) error {
	args := c.Context().QueryArgs()
	transport := string(args.Peek("transport"))
	if transport != "polling" && transport != "websocket" {
		return unknownTransport
	}
	if id := args.Peek("sid"); len(id) > 0 {
		return s.resume(c, id, transport, allowed, upgrade)
	}
	switch {
	case c.Method() != fiber.MethodGet:
		return badMethod
	case (transport == "websocket") != upgrade:
		return badRequest
	case !allowed:
		return forbidden
	case string(args.Peek("EIO")) != "4":
		return unsupportedVersion
	case upgrade:
		return s.sockets.UpgradeAs(c, s.direct)
	default:
		return s.open(c)
	}
}

// open begins a session over polling.
func (s *Server) open(c *fiber.Ctx) error {
	o, err := s.sockets.Opening(c)
	if err != nil {
		return err
	}
	session := s.session(o, false)
	session.final = isPython(c.Get(fiber.HeaderUserAgent), c.Context().URI().QueryString())
	if _, no := s.sockets.Detach(o, s.polling, session, session); no != "" {
		return no.Answer(c)
	}
	c.Set(fiber.HeaderContentType, textPlain)
	c.Context().Response.SetBody(session.appendOpen(nil, true))
	return nil
}

// isPython says whether the client library is that of Python, synchronous or not: by its name or, as applications and
// proxies may change that, by the order of its query. Taking another for it does no harm: an error ends a session, too.
func isPython(agent string, query []byte) bool {
	return strings.Contains(agent, "python") || strings.Contains(agent, "aiohttp") || inverse(query)
}

// inverse says whether the transport stands before the version; clients in JavaScript have it behind.
func inverse(query []byte) bool {
	transport, version := bytes.Index(query, []byte("transport=")), bytes.Index(query, []byte("EIO="))
	return 0 <= transport && transport < version
}

// resume serves a request that names its session.
func (s *Server) resume(c *fiber.Ctx, id []byte, transport string, allowed, upgrade bool) error {
	session := s.table.get(id)
	if session == nil {
		return s.unknown(c, id, transport, upgrade)
	}
	switch {
	case !allowed:
		return forbidden
	case upgrade && transport == "websocket":
		return s.sockets.UpgradeAs(c, session.kind())
	case upgrade || transport == "websocket":
		return badRequest
	case c.Method() == fiber.MethodGet:
		return session.get(c)
	case c.Method() == fiber.MethodPost:
		return session.post(c)
	default:
		return badRequest
	}
}

// unknown serves a request whose session is not here.
func (s *Server) unknown(c *fiber.Ctx, id []byte, transport string, upgrade bool) error {
	if !upgrade && transport == "polling" && c.Method() == fiber.MethodGet && s.table.mourn(id, s.now()) {
		c.Set(fiber.HeaderContentType, textPlain)
		c.Context().Response.SetBody([]byte{typeNoop})
		return nil
	}
	if s.cfg.Unknown != nil {
		if handled, err := s.cfg.Unknown(c, string(id)); handled {
			return &passedOn{err}
		}
	}
	return unknownSession
}

// refuse answers a request with an error. A WebSocket's client reads no body, so it is plain there.
func (s *Server) refuse(resp *fasthttp.Response, err error, upgrade bool) {
	s.count.refused.Add(1)
	r := &refusal{-1, http.StatusInternalServerError, "internal error"}
	var status *fiber.Error
	if !errors.As(err, &r) && errors.As(err, &status) {
		r = &refusal{-1, status.Code, status.Message}
	}
	resp.SetStatusCode(r.status)
	switch {
	case r.message == "":
	case upgrade:
		resp.Header.SetContentType(fiber.MIMETextPlainCharsetUTF8)
		resp.SetBodyString(r.message)
	default:
		resp.Header.SetContentType(fiber.MIMEApplicationJSON)
		resp.SetBody(r.appendJSON(nil))
	}
}

func (r *refusal) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if r.code >= 0 {
		dst = append(strconv.AppendInt(append(dst, `"code":`...), int64(r.code), 10), ',')
	}
	dst = append(dst, `"message":`...)
	return append(appendString(dst, r.message), '}')
}

// crossOrigin says whether the page that a request comes from, if any, may connect, and if so lets it read the answer
// (part 1.9).
func (s *Server) crossOrigin(c *fiber.Ctx) bool {
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	if !s.cfg.Origins.Allow(origin, c.Get(fiber.HeaderHost)) {
		return false
	}
	s.readable(&c.Response().Header, strings.Clone(origin))
	return true
}

// readable lets the page of an origin, if there is one, read an answer.
func (s *Server) readable(h *fasthttp.ResponseHeader, origin string) {
	if origin == "" {
		return
	}
	h.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	if s.cfg.Credentials {
		h.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	}
}

// preflight answers the question of a browser whether a page may send a request that is not simple.
func (s *Server) preflight(c *fiber.Ctx, allowed bool) error {
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowMethods, "GET,POST")
		if headers := c.Get(fiber.HeaderAccessControlRequestHeaders); headers != "" {
			c.Set(fiber.HeaderAccessControlAllowHeaders, headers)
		}
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
	}
	c.Vary(fiber.HeaderAccessControlRequestHeaders)
	c.Set(fiber.HeaderContentLength, "0")
	c.Status(fiber.StatusNoContent)
	return nil
}

var _ interface { // what a session is to the sockets
	socket.Handler
	socket.BinaryClient
	socket.Keeper
	socket.Output
} = (*Session)(nil)
