package socket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/errgroup"

	"github.com/talus-tally/talus/services/edge/internal/rate"
)

// Config is what an operator may decide about connections. Zero values stand for the defaults.
type Config struct {
	// Protocols are the accepted subprotocols. A client may offer none; if it offers others only, it gets 400.
	Protocols []string
	// Admit is asked before each upgrade or hijack (origin, authorization). Its error is the answer to the request.
	Admit func(*fiber.Ctx) error
	// Address is where a request comes from, for a server behind proxies. Default: the peer of the connection.
	Address func(*fiber.Ctx) netip.Addr
	// Limits bound what peers may use.
	Limits Limits
	// MessageLimit is the largest message of a client, in bytes. Default 1 MiB.
	MessageLimit int
	// PingEvery is how long a peer may be silent before it is pinged. Default 25 s.
	PingEvery time.Duration
	// BeatEvery is how long nothing may be sent on a hijacked connection before a beat is. Default 15 s.
	BeatEvery time.Duration
	// PongWithin is how long a pinged peer may stay silent, and how long the kernel of a hijacked connection's peer may
	// leave bytes without acknowledgement where the system can tell. Default 20 s.
	PongWithin time.Duration
	// StallAfter is how long a peer may take no byte while some are pending. Default 10 s.
	StallAfter time.Duration
	// VisitEvery is how long a Keeper may have to wait for its next visit. Default: what the other durations need.
	VisitEvery time.Duration
	// CollectWithin is how long the close of a connection without a socket waits to be fetched. Default 30 s.
	CollectWithin time.Duration
	// Linger is how long the socket stays open after the close frame for the peer's answer. Default 1 s.
	Linger time.Duration
	// BacklogBytes is how much of the log a slot may hold on to while it catches up; the rest is asked for again. Default 16 MiB.
	BacklogBytes int
	// Pollers and Writers are numbers of goroutines. Defaults 1 and 2.
	Pollers, Writers int
	// Blocking gives every connection goroutines of its own, as if it were not a plain TCP socket.
	Blocking bool
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.MessageLimit < 0 || cfg.BacklogBytes < 0 || cfg.Pollers < 0 || cfg.Writers < 0 ||
		min(cfg.PingEvery, cfg.BeatEvery, cfg.PongWithin, cfg.StallAfter, cfg.Linger, cfg.VisitEvery, cfg.CollectWithin, cfg.Limits.JoinWithin) < 0 {
		return cfg, errors.New("socket: a limit is negative")
	}
	cfg.Protocols = slices.Clone(cfg.Protocols)
	cfg.MessageLimit = cmp.Or(cfg.MessageLimit, 1<<20)
	cfg.BacklogBytes = cmp.Or(cfg.BacklogBytes, 16<<20)
	cfg.Pollers = cmp.Or(cfg.Pollers, 1)
	cfg.Writers = cmp.Or(cfg.Writers, 2)
	cfg.PingEvery = cmp.Or(cfg.PingEvery, 25*time.Second)
	cfg.BeatEvery = cmp.Or(cfg.BeatEvery, 15*time.Second)
	cfg.PongWithin = cmp.Or(cfg.PongWithin, 20*time.Second)
	cfg.StallAfter = cmp.Or(cfg.StallAfter, 10*time.Second)
	cfg.Linger = cmp.Or(cfg.Linger, time.Second)
	cfg.CollectWithin = cmp.Or(cfg.CollectWithin, 30*time.Second)
	if cfg.Address == nil {
		cfg.Address = peerAddress
	}
	return cfg, nil
}

// Server turns HTTP requests into connections and keeps them until they end.
type Server struct {
	cfg      Config
	native   *Kind
	upgrade  fiber.Handler
	registry *registry
	rules    *rules
	wheel    *wheel
	pollers  []*poller
}

// New makes a server that passes its connections to h. Run must be called for anything to happen on them.
func New(cfg Config, h Handler) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &rules{
		limits: cfg.Limits, pace: rate.New(cfg.Limits.Messages), line: newLine(),
		messageLimit: cfg.MessageLimit, backlogBytes: cfg.BacklogBytes,
		orders: 256, orderBytes: 4 << 20, passBytes: 64 << 10, passFrames: 1024, falls: 2, refills: 200,
	}
	s := &Server{cfg: cfg, native: &Kind{Framing: webSocket{}, Handler: h}, registry: newRegistry(cfg.Limits), rules: r}
	s.wheel = newWheel(cfg, s.registry, r)
	r.linger = s.wheel.linger
	s.upgrade = s.upgrader()
	if s.pollers, err = newPollers(cfg, s.registry); err != nil {
		return nil, fmt.Errorf("socket: open pollers: %w", err)
	}
	return s, nil
}

// Run serves until ctx ends. Then it takes no new connection, ends all there are without ceremony (Drain before that
// is the polite way) and returns when none is left.
func (s *Server) Run(ctx context.Context) error {
	turning, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	for _, p := range s.pollers {
		group.Go(p.run)
	}
	for range s.cfg.Writers {
		group.Go(func() error { s.rules.line.write(); return nil })
	}
	group.Go(func() error { s.wheel.run(turning); return nil })

	<-ctx.Done()
	s.abort()
	_ = s.registry.wait(context.Background())
	for _, p := range s.pollers {
		p.stop()
	}
	s.rules.line.close()
	stop()
	return group.Wait()
}

// abort ends everything at once.
func (s *Server) abort() {
	s.registry.refuse(func() closure { return closure{code: codeRestart, reason: "restart"} })
	for _, c := range s.registry.part(nil, 0, 1) {
		c.fail(codeRestart, ErrClosed)
	}
}

// Stats returns the server's counts.
func (s *Server) Stats() Stats { return s.rules.count.stats() }

// rules is what all connections of a server share: its limits, its clock, its scratch space and its counters.
type rules struct {
	limits       Limits
	pace         *rate.Limiter // of messages
	line         *line         // of connections with work that nobody is at
	messageLimit int           // bytes of one message
	orders       int           // entries of a control queue
	orderBytes   int           // bytes of a control queue
	backlogBytes int           // bytes of a refill
	passBytes    int           // bytes of one vectored write
	passFrames   int           // frames of one vectored write, at most IOV_MAX
	falls        uint8
	refills      uint8

	clock   atomic.Uint32 // ticks since the start
	linger  func(*Conn)   // the close frame is out: end the connection in a moment
	batches batches
	readers readers
	count   counters
}

type counters struct {
	opened, closed, messages, pings              atomic.Uint64
	slow, silent, violations, overflows, refills atomic.Uint64
}

// Stats are counts since the start, but for Connections, which is the number now.
type Stats struct {
	Connections int
	Opened      uint64 // requests that became connections
	Closed      uint64 // connections that have ended
	Messages    uint64 // text messages received
	Pings       uint64 // pings and beats sent
	Refills     uint64 // slots sent to the log because their ring had moved on
	Slow        uint64 // connections ended because the peer did not keep up
	Silent      uint64 // connections ended because the peer did not answer
	Violations  uint64 // connections ended because the peer broke RFC 6455
	Overflows   uint64 // connections ended because of a full control queue
}

func (c *counters) stats() Stats {
	s := Stats{
		Opened: c.opened.Load(), Closed: c.closed.Load(), Messages: c.messages.Load(), Pings: c.pings.Load(),
		Refills: c.refills.Load(), Slow: c.slow.Load(), Silent: c.silent.Load(),
		Violations: c.violations.Load(), Overflows: c.overflows.Load(),
	}
	s.Connections = int(s.Opened - s.Closed)
	return s
}
