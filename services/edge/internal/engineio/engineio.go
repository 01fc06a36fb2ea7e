// Package engineio is a server of Engine.IO v4 (socketio.md, part 1): sessions that carry messages both ways over HTTP
// long-polling, over WebSocket, and from the first to the second without a break. It knows nothing of what the messages
// say; Socket.IO, or any other protocol, is mounted on it as a Handler.
//
// It promises: what a session sends arrives in the order in which it was sent, whatever the transport, and across an
// upgrade; a poll is answered with 16 packets at most, as some clients accept no more; a peer that breaks the protocol,
// or does not answer a ping in time, loses its session and nothing else. It does not promise that the last packets
// arrive: a response of which the peer saw nothing is lost, and its session with it.
//
// A session is a connection of package socket for its whole life, so rooms write to it as to any other, and nothing is
// queued for a slow peer but a cursor. A session runs on the goroutines of the sockets and of the HTTP requests. A poll that
// waits has none: its connection is taken from the HTTP server, and one goroutine writes the answer when it is there, gives
// the connection back and serves what comes next on it.
package engineio

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/gate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// Config is what an operator, or the protocol above, may decide. Zero values stand for the defaults.
type Config struct {
	// PingInterval is the time from the handshake, or from a pong, to the next ping. Default 25 s. The sockets should
	// visit their connections ten times as often (socket.Config.VisitEvery), as pings are up to a tenth early.
	PingInterval time.Duration
	// PingTimeout is how long a pong may take. Default 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout is how long an upgrade may take, from the WebSocket's opening on. Default 10 s.
	UpgradeTimeout time.Duration
	// MaxPayload is the largest body of a POST and the largest WebSocket message, and about the largest response to a
	// poll, in bytes. Default 1,000,000. The application must accept bodies that are larger, so that they are refused here.
	MaxPayload int
	// Origins are the origins whose pages may connect; those of the same host and programs, which have none, always may.
	Origins gate.Origins
	// Credentials lets pages of allowed origins send cookies.
	Credentials bool
	// NewID makes session ids, which are secrets and must not need escaping in a URL. Default: RandomID.
	NewID func() string
	// Unknown is asked about a request whose session is not here: it may answer it, say by passing it on, and returns
	// true; then the error is the handler's. Otherwise the request gets error 1. May be nil.
	Unknown func(c *fiber.Ctx, id string) (bool, error)
	// Refused is called with "origin" for each request of a page that may not connect. It must not block. May be nil.
	Refused func(reason string)
}

func (cfg Config) withDefaults() (Config, error) {
	if min(cfg.PingInterval, cfg.PingTimeout, cfg.UpgradeTimeout) < 0 || cfg.MaxPayload < 0 {
		return cfg, errors.New("engineio: a limit is negative")
	}
	cfg.PingInterval = cmp.Or(cfg.PingInterval, 25*time.Second)
	cfg.PingTimeout = cmp.Or(cfg.PingTimeout, 20*time.Second)
	cfg.UpgradeTimeout = cmp.Or(cfg.UpgradeTimeout, 10*time.Second)
	cfg.MaxPayload = cmp.Or(cfg.MaxPayload, 1_000_000)
	if cfg.Refused == nil {
		cfg.Refused = func(string) {}
	}
	if cfg.NewID == nil {
		cfg.NewID = RandomID
	}
	return cfg, nil
}

// RandomID is a new id of 20 characters that nobody can guess.
func RandomID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Handler accepts sessions.
type Handler interface {
	// Open is called once per session. It returns who receives its messages. It may call any method of s and must not block.
	Open(s *Session) Client
}

// Client receives what one peer sends. Its methods are called one after the other, never concurrently, and must not
// block. Payloads are valid only during the call.
type Client interface {
	// Message is called with each text message.
	Message(payload []byte)
	// Binary is called with each binary message.
	Binary(payload []byte)
	// Closed is called once, as the last call, when the session is over. No room may hold its connection longer.
	Closed(err error)
}

// Server turns HTTP requests into sessions.
type Server struct {
	cfg     Config
	handler Handler
	sockets *socket.Server
	start   time.Time
	table   table
	polling *socket.Kind // of sessions that begin with polling
	direct  *socket.Kind // of sessions that begin with a WebSocket
	count   counters

	answering sync.WaitGroup // polls that were parked and have not been answered
}

// New makes a server that passes its sessions to h. They are connections of sockets, and live while that one runs.
func New(cfg Config, sockets *socket.Server, h Handler) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, handler: h, sockets: sockets, start: time.Now()}
	s.table.sessions = map[string]*Session{}
	s.polling = &socket.Kind{Framing: framing{}}
	s.direct = &socket.Kind{Framing: framing{}, Handler: opener{s}, MessageLimit: cfg.MaxPayload, Binary: true}
	return s, nil
}

// now is the time since the server began, which no change of the wall clock moves.
func (s *Server) now() time.Duration { return time.Since(s.start) }

// Stats returns the server's counts.
func (s *Server) Stats() Stats {
	return Stats{
		Sessions: s.table.size(), Opened: s.count.opened.Load(), Upgraded: s.count.upgraded.Load(),
		Polls: s.count.polls.Load(), Posts: s.count.posts.Load(), Refused: s.count.refused.Load(),
		Violations: s.count.violations.Load(), Silent: s.count.silent.Load(),
	}
}

// Stats are counts since the start, but for Sessions, which is the number now.
type Stats struct {
	Sessions   int
	Opened     uint64 // sessions that began
	Upgraded   uint64 // sessions that went from polling to WebSocket
	Polls      uint64 // GETs of sessions
	Posts      uint64 // POSTs of sessions
	Refused    uint64 // requests that were answered with an error
	Violations uint64 // sessions ended because the peer broke the protocol
	Silent     uint64 // sessions ended because no pong came
}

type counters struct {
	opened, upgraded, polls, posts, refused, violations, silent atomic.Uint64
}
