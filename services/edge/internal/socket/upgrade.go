package socket

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// openingKey is the local under which Upgrade leaves the Opening for the hijacked half of the request.
const openingKey = "talus.opening"

// Upgrade is the Fiber handler of the WebSocket endpoint. It answers 426 to what is not an upgrade, 400 to a broken one
// or one that offers other subprotocols only, Admit's error, and 503 when the server is closing.
func (s *Server) Upgrade(c *fiber.Ctx) error {
	if !websocket.IsWebSocketUpgrade(c) {
		c.Set(fiber.HeaderUpgrade, "websocket")
		return fiber.ErrUpgradeRequired
	}
	if c.Get("Sec-WebSocket-Version") != "13" {
		c.Set("Sec-WebSocket-Version", "13")
		return fiber.NewError(fiber.StatusBadRequest, "WebSocket version 13 is needed")
	}
	if c.Method() != fiber.MethodGet || c.Get("Sec-WebSocket-Key") == "" {
		return fiber.NewError(fiber.StatusBadRequest, "not a WebSocket handshake")
	}
	protocol, err := s.agree(c.Get("Sec-WebSocket-Protocol"))
	if err != nil {
		return err
	}
	if s.registry.refusing() {
		c.Set(fiber.HeaderRetryAfter, "1")
		return fiber.ErrServiceUnavailable
	}
	if s.cfg.Admit != nil {
		if err := s.cfg.Admit(c); err != nil {
			return err
		}
	}
	query, err := url.ParseQuery(string(c.Context().URI().QueryString()))
	if err != nil {
		return fiber.NewError(fiber.StatusBadRequest, "malformed query")
	}
	c.Locals(openingKey, Opening{IP: utils.CopyString(c.IP()), Query: query, Protocol: protocol})
	return s.upgrade(c)
}

// agree picks the subprotocol from what the client offers.
func (s *Server) agree(offer string) (string, error) {
	if strings.TrimSpace(offer) == "" {
		return "", nil
	}
	for p := range strings.SplitSeq(offer, ",") {
		if i := slices.Index(s.cfg.Protocols, strings.TrimSpace(p)); i >= 0 {
			return s.cfg.Protocols[i], nil
		}
	}
	return "", fiber.NewError(fiber.StatusBadRequest,
		fmt.Sprintf("subprotocol is not supported; offer none or one of %q", s.cfg.Protocols))
}

// upgrader makes the handler that performs the handshake. The library's connection is used for nothing but the way to
// the socket under it, so its buffers are as small as they can be and shared.
func (s *Server) upgrader() fiber.Handler {
	return websocket.New(s.accept, websocket.Config{
		Subprotocols:    s.cfg.Protocols,
		ReadBufferSize:  128,
		WriteBufferSize: 128,
		WriteBufferPool: new(sync.Pool),
		RecoverHandler:  func(*websocket.Conn) {}, // a panic here is a defect of the program, not of the peer
	})
}

// accept takes the socket out of a hijacked request. When it returns, nothing of the request is referenced.
func (s *Server) accept(ws *websocket.Conn) {
	o, _ := ws.Locals(openingKey).(Opening)
	nc := ws.NetConn()
	o.Remote, _ = netip.ParseAddrPort(nc.RemoteAddr().String())
	bare := nc
	if u, ok := nc.(interface{ UnsafeConn() net.Conn }); ok {
		bare = u.UnsafeConn()
	}
	if !s.registry.reserve() {
		_, _ = bare.Write(frame.AppendClose(nil, codeRestart, "restart"))
		_ = bare.Close()
		return
	}
	s.rules.count.opened.Add(1)
	if tcp, ok := bare.(*net.TCPConn); ok && len(s.pollers) > 0 {
		if s.adopt(tcp, nc, o) {
			return
		}
	}
	s.converse(bare, nc, o)
}

// prepare fills a connection that only its opener knows. The opener holds the token until the connection is published,
// so whatever its Client queues while it opens is written afterwards.
func (s *Server) prepare(c *Conn, out output, w workers, patient bool) {
	now := s.rules.clock.Load()
	c.rules, c.out, c.workers, c.patient = s.rules, out, w, patient
	c.word.set(token)
	c.moved.Store(now)
	c.heard.Store(now)
}
