package socket

import (
	"crypto/tls"
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

// entrance is what the hijacked half of a request needs.
type entrance struct {
	Opening
	kind *Kind
}

// Upgrade is the Fiber handler of the WebSocket endpoint. It answers 426 to what is not an upgrade, 400 to a broken one
// or one that offers other subprotocols only, Admit's error, and 503 or 429 to one that is refused (see Refusal).
func (s *Server) Upgrade(c *fiber.Ctx) error {
	if err := handshake(c); err != nil {
		return err
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
	c.Locals(openingKey, entrance{o, s.native})
	return s.upgrade(c)
}

// UpgradeAs is Upgrade for a connection of any kind; that it may connect has been decided.
func (s *Server) UpgradeAs(c *fiber.Ctx, k *Kind) error {
	if err := handshake(c); err != nil {
		return err
	}
	o, err := s.Opening(c)
	if err != nil {
		return err
	}
	if k.Guest {
		o.Address = k.Host
	}
	if err := s.room(c, o, k.Guest); err != nil {
		return err
	}
	c.Locals(openingKey, entrance{o, k})
	return s.upgrade(c)
}

// handshake judges the headers of an upgrade request (RFC 6455, section 4.2.1).
func handshake(c *fiber.Ctx) error {
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
	return nil
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
	e, _ := ws.Locals(openingKey).(entrance)
	s.accept(ws.NetConn(), e.Opening, e.kind)
}

// bareOf is the socket under a connection that a server has handed on.
func bareOf(nc net.Conn) net.Conn {
	for {
		switch u := nc.(type) {
		case *tls.Conn: // what is under it is not for us
			return nc
		case interface{ UnsafeConn() net.Conn }: // fasthttp's
			nc = u.UnsafeConn()
		case interface{ NetConn() net.Conn }: // the listener's
			nc = u.NetConn()
		default:
			return nc
		}
	}
}

// accept opens a connection on the socket of a hijacked request. It returns when nothing of the request is needed any more.
func (s *Server) accept(nc net.Conn, o Opening, k *Kind) {
	if k.Framing == nil {
		own := *k
		own.Framing, k = webSocket{}, &own
	}
	o.Remote, _ = netip.ParseAddrPort(nc.RemoteAddr().String())
	bare := bareOf(nc)
	if no, quit := s.registry.reserve(householdOf(o.Address), k); no != "" { // others were quicker
		s.cfg.Limits.refused(no)
		code, reason := no.farewell(quit)
		_, _ = bare.Write(k.Framing.AppendClose(nil, false, code, reason))
		_ = bare.Close()
		return
	}
	if !k.Guest {
		s.rules.count.opened.Add(1)
	}
	if tcp, ok := bare.(*net.TCPConn); ok && len(s.pollers) > 0 {
		if s.adopt(tcp, nc, o, k) {
			return
		}
	}
	s.converse(bare, nc, o, k)
}

// prepare fills a connection that only its opener knows. The opener holds the token until the connection is published,
// so whatever its Client queues while it opens is written afterwards.
func (s *Server) prepare(c *Conn, k *Kind, out output, marks uint64, from netip.Addr) {
	now := s.rules.clock.Load()
	c.rules, c.out, c.kind, c.begun = s.rules, out, k, !k.mute
	c.word.set(token | marks)
	c.moved.Store(now)
	c.heard.Store(now)
	c.house = householdOf(from)
	c.Await()
}
