package socket

import (
	"net"
	"net/netip"
	"net/url"
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// Framing is how the server speaks on connections of one kind where their clients leave it to the machine. The machine
// itself, which decides who writes when, is the same for all kinds.
type Framing interface {
	// AppendBeat appends what is sent to a peer from which, or to which, nothing has come for a while.
	AppendBeat(dst []byte) []byte
	// AppendClose appends what is sent last. Begun is false if no byte was sent on the connection before.
	AppendClose(dst []byte, begun bool, code int, reason string) []byte
}

// Kind is what the connections of one endpoint have in common. It is not changed while connections of it are open.
type Kind struct {
	Framing      Framing // nil: that of RFC 6455
	Handler      Handler
	MessageLimit int  // the largest message of a client in bytes; 0: Config.MessageLimit
	Binary       bool // binary messages are understood: the Clients are BinaryClients
	Guest        bool // belongs to another connection: Limits hold for twice as many of these, apart from the others

	Host netip.Addr // of guests: the client address of that connection, whoever brings them

	mute bool // the peer says nothing: its input is ignored, it answers no beat, and it has not been answered yet
}

// webSocket is the framing of RFC 6455.
type webSocket struct{}

func (webSocket) AppendBeat(dst []byte) []byte { return frame.Append(dst, frame.Ping, nil) }

func (webSocket) AppendClose(dst []byte, _ bool, code int, reason string) []byte {
	return frame.AppendClose(dst, code, reason)
}

// Hijack takes the connection of a plain request away from Fiber before anything is answered, for as long as it lasts.
// What is sent on it, from the first byte of the HTTP response on, is up to the Client that h opens and to f. What the
// peer sends is ignored; its end, or that of its half, is the connection's. A nil error means that the request is
// settled; otherwise it is refused with Admit's error, 400, or 503 or 429 (see Refusal).
func (s *Server) Hijack(c *fiber.Ctx, f Framing, h Handler) error {
	o, err := s.admit(c)
	if err != nil {
		return err
	}
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(nc net.Conn) { s.accept(nc, o, &Kind{Framing: f, Handler: h, mute: true}) })
	return nil
}

// admit decides whether a request may become a connection.
func (s *Server) admit(c *fiber.Ctx) (Opening, error) {
	if s.cfg.Admit != nil {
		if err := s.cfg.Admit(c); err != nil {
			return Opening{}, err
		}
	}
	o, err := s.Opening(c)
	if err != nil {
		return o, err
	}
	return o, s.room(c, o, false)
}

// room says whether there is room for a connection.
func (s *Server) room(c *fiber.Ctx, o Opening, guest bool) error {
	return s.refuse(c, s.registry.refusal(householdOf(o.Address), guest))
}

// Seat counts the connection of a request that somebody else carries as one of this server's, until leave is called. The
// error is 503 or 429 (see Refusal).
func (s *Server) Seat(c *fiber.Ctx) (leave func(), err error) {
	from := householdOf(s.cfg.Address(c))
	if err := s.refuse(c, s.registry.seat(from)); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { s.registry.unseat(from) }), nil
}

// refuse answers a request with a refusal, if it is one.
func (s *Server) refuse(c *fiber.Ctx, no Refusal) error {
	if no == "" {
		return nil
	}
	s.cfg.Limits.refused(no)
	return no.Answer(c)
}

// Opening is what is known of a request. The error is 400 for a malformed query.
func (s *Server) Opening(c *fiber.Ctx) (Opening, error) {
	query, err := url.ParseQuery(string(c.Context().URI().QueryString()))
	if err != nil {
		return Opening{}, fiber.NewError(fiber.StatusBadRequest, "malformed query")
	}
	o := Opening{Address: s.cfg.Address(c), Query: query}
	if tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		o.Remote = tcp.AddrPort()
	}
	return o, nil
}
