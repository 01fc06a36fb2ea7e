// Package edge is the service that fans the commits of sessions out to their clients, over WebSocket, as server-sent
// events and over Socket.IO. Any client of a session may sit on any instance; an instance holds no state of a session that
// the log could not give it again. Requests of a Socket.IO client may come to any instance, too: they are passed on to the
// one that has its connection.
//
// It promises what its parts promise: a client sees the versions of its session in steps of one along one chain or is
// told to resync (internal/hub), frames are never mixed and never reach another connection (internal/socket), and
// clients are counted over all instances (internal/presence). It decides nothing about graphs and decodes no commit.
//
// Goroutines of a running instance, all ended when Run returns, but for one that writes the answer to a poll and whose client
// does not take it, which gives up after 10 s:
//
//   - the accept loop with one goroutine per HTTP request in progress (Fiber's); an idle WebSocket, an event stream and a
//     poll that waits have none
//   - pollers, writers and the timer wheel of the sockets; a reader and a writer for each connection that is not plain TCP
//     (socket.Server.Run)
//   - the Redis feed: it receives, sends subscriptions and probes (eventlog.Feed.Run)
//   - head checks and housekeeping, one per room that has work, one more per room with clients that read old commits
//     (hub.Hub.Run)
//   - the lease and the counts (presence.Presence.Run)
//   - what keeps this edge known to the others, and two for each WebSocket that is passed on to one of them (relay.Relay.Run);
//     its HTTP client has some that end up to 20 s later
//   - a worker per command that a client sent over its socket, at most 64, while there are some (commands.Service.Run)
//   - the pool of the Redis client, and Run itself
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/telemetry"
	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/graphio"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/native"
	"github.com/talus-tally/talus/services/edge/internal/presence"
	"github.com/talus-tally/talus/services/edge/internal/relay"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/sse"
)

// Edge is one instance of the service.
type Edge struct {
	cfg      Config
	log      *slog.Logger
	rdb      redis.UniversalClient
	feed     *eventlog.Feed
	hub      *hub.Hub
	presence *presence.Presence
	commands *commands.Service
	door     *door
	handler  *native.Handler
	sockets  *socket.Server
	streams  *sse.Endpoint
	relay    *relay.Relay
	graph    *graphio.Namespace
	polls    *engineio.Server
	health   *telemetry.Health
	registry *prometheus.Registry
	listener net.Listener // nil: the routes are served by somebody else
}

// New checks cfg and listens on the address, if there is one. Redis need not be there yet. The instance does nothing
// before Run; New without Run leaks the listener.
func New(cfg Config, log *slog.Logger) (*Edge, error) {
	cfg = cfg.withDefaults()
	opts, err := eventlog.Options(cfg.RedisURL)
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	e := &Edge{cfg: cfg, log: log, rdb: redis.NewUniversalClient(opts), registry: cfg.Registry}
	if e.registry == nil {
		e.registry = telemetry.NewRegistry()
	}
	if cfg.Addr != "" {
		if e.listener, err = net.Listen("tcp", cfg.Addr); err != nil {
			return nil, errors.Join(fmt.Errorf("edge: %w", err), e.rdb.Close())
		}
	}
	if err := e.assemble(opts.Addrs); err != nil {
		return nil, errors.Join(fmt.Errorf("edge: %w", err), e.close())
	}
	return e, nil
}

// assemble puts the parts on top of each other: log and feed, rooms, the protocols, sockets. Hosts are those of Redis.
func (e *Edge) assemble(hosts []string) (err error) {
	events := eventlog.New(e.rdb, eventlog.Config{Lease: presence.Lease})
	connect := func(h *hub.Hub) hub.Feed {
		e.feed = eventlog.NewFeed(e.rdb, h)
		return e.feed
	}
	e.presence = presence.New(events, e.registry, e.log)
	e.hub = hub.New(hub.Config{HeadCheck: e.cfg.HeadCheck, Writers: e.cfg.Writers, Presence: e.presence}, source{events}, connect, e.registry, e.log)
	e.relay = relay.New(relay.Config{
		Address: e.advertised(hosts),
		Seat:    func(c *fiber.Ctx) (func(), error) { return e.sockets.Seat(c) },
	}, events, e.registry, e.log)
	e.health = telemetry.NewHealth(e.log,
		telemetry.Check{Name: "redis", Probe: events.Ready},
		telemetry.Check{Name: "feed", Probe: e.feed.Ready},
		telemetry.Check{Name: "registry", Probe: e.relay.Ready})
	if e.door, err = newDoor(e.cfg, e.registry); err != nil {
		return err
	}
	e.commands = commands.New(commands.Config{
		URL: e.cfg.Commands, Transport: e.cfg.Carrier,
		Problem: problemOf,
	}, e.registry)
	e.handler = native.New(e.hub, e.commands, e.door.requests(e.cfg), e.registry, e.log)
	e.sockets, err = socket.New(socket.Config{
		Protocols:    []string{native.Subprotocol},
		Admit:        e.door.admit,
		Address:      e.door.address,
		MessageLimit: int(e.cfg.MaxMessage),
		Limits:       e.door.transport(e.cfg),
	}, e.handler)
	if err != nil {
		return err
	}
	e.streams = sse.New(e.hub, e.sockets, func(r sse.Refusal) []byte { return problemOf(r.Code, r.Message) }, e.registry)
	if err = e.assembleSocketIO(); err != nil {
		return err
	}
	e.measure()
	return nil
}

// URL is where the service listens, such as "http://127.0.0.1:8081"; empty without a listener.
func (e *Edge) URL() string {
	if e.listener == nil {
		return ""
	}
	return daemon.URL(e.listener.Addr())
}

// Ready reports whether the instance should get clients: it is not draining, Redis answers and
// does not evict, and what is published there is heard here.
func (e *Edge) Ready(ctx context.Context) error { return e.health.Ready(ctx) }

// Run serves until ctx ends or serving fails, and returns when everything has ended, in the reverse order of the data's
// way: it stops being ready, sends the clients away and waits for them at most for the drain time, then ends the rooms,
// the lease, the feed and Redis.
func (e *Edge) Run(ctx context.Context) error {
	var feed, rooms, counts, work, others, sockets, requests daemon.Task
	feed.Start(e.feed.Run)
	rooms.Start(e.hub.Run)
	counts.Start(e.presence.Run)
	work.Start(e.commands.Run)
	others.Start(e.relay.Run)
	sockets.Start(e.sockets.Run)
	requests.Start(e.serve)
	select {
	case <-ctx.Done():
	case <-requests.Ended(): // before its time
	case <-sockets.Ended():
	}
	e.drain(requests.Ended())
	err := errors.Join(requests.Stop(), others.Stop(), sockets.Stop())
	e.polls.Settle(time.Second)
	err = errors.Join(err, work.Stop(), rooms.Stop(), counts.Stop(), feed.Stop(), e.rdb.Close())
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// close ends what New had begun before it failed.
func (e *Edge) close() error {
	if e.listener != nil {
		return errors.Join(e.listener.Close(), e.rdb.Close())
	}
	return e.rdb.Close()
}

// serve runs the instance's own listener, if it has one, until ctx ends.
func (e *Edge) serve(ctx context.Context) error {
	if e.listener == nil {
		<-ctx.Done()
		return nil
	}
	app := e.app()
	e.log.Info("edge listens", "url", e.URL())
	served := make(chan error, 1)
	listener := daemon.Impatient(e.listener, e.cfg.Handshake)
	go func() { served <- app.Listener(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	const short = time.Second // requests are, and sockets are not the app's
	if err := daemon.Shut(app, listener, served, short); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}
