package socket

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
)

// openingKey is the local under which Upgrade leaves the Opening for the hijacked half of the request.
const openingKey = "talus.opening"

// Upgrade is the Fiber handler of the WebSocket endpoint. It answers 426 to what is not an upgrade, 400 to a broken one
// or one that offers other subprotocols only, Admit's error, and 503 or 429 to one that is refused (see Refusal).
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
	o, err := s.admit(c)
	if err != nil {
		return err
	}
	o.Protocol = protocol
	c.Locals(openingKey, o)
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
	return websocket.New(s.upgraded, websocket.Config{
		Subprotocols:    s.cfg.Protocols,
		ReadBufferSize:  128,
		WriteBufferSize: 128,
		WriteBufferPool: new(sync.Pool),
		RecoverHandler:  func(*websocket.Conn) {}, // a panic here is a defect of the program, not of the peer
	})
}

// upgraded takes the socket out of the library's connection. When it returns, nothing of the request is referenced.
func (s *Server) upgraded(ws *websocket.Conn) {
	o, _ := ws.Locals(openingKey).(Opening)
	s.accept(ws.NetConn(), o, kind{framing: webSocket{}, handler: s.handler})
}

// accept opens a connection on the socket of a hijacked request. It returns when nothing of the request is needed any more.
func (s *Server) accept(nc net.Conn, o Opening, k kind) {
	o.Remote, _ = netip.ParseAddrPort(nc.RemoteAddr().String())
	bare := nc
	if u, ok := nc.(interface{ UnsafeConn() net.Conn }); ok {
		bare = u.UnsafeConn()
	}
	if no, quit := s.registry.reserve(householdOf(o.Address)); no != "" { // others were quicker
		s.cfg.Limits.refused(no)
		code, reason := no.farewell(quit)
		_, _ = bare.Write(k.framing.AppendClose(nil, false, code, reason))
		_ = bare.Close()
		return
	}
	s.rules.count.opened.Add(1)
	if tcp, ok := bare.(*net.TCPConn); ok && len(s.pollers) > 0 {
		if s.adopt(tcp, nc, o, k) {
			return
		}
	}
	s.converse(bare, nc, o, k)
}

// prepare fills a connection that only its opener knows. The opener holds the token until the connection is published,
// so whatever its Client queues while it opens is written afterwards.
func (s *Server) prepare(c *Conn, k kind, out output, patient bool, from netip.Addr) {
	now := s.rules.clock.Load()
	c.rules, c.out, c.patient = s.rules, out, patient
	c.framing, c.mute, c.begun = k.framing, k.mute, !k.mute
	c.word.set(token)
	c.moved.Store(now)
	c.heard.Store(now)
	c.house = householdOf(from)
	c.Await()
}
