// Package edge is the service that fans the commits of sessions out to their clients over WebSocket. Any client of a
// session may sit on any instance; an instance holds no state of a session that the log could not give it again.
//
// It promises what its parts promise: a client sees the versions of its session in steps of one along one chain or is
// told to resync (internal/hub), frames are never mixed and never reach another connection (internal/socket), and
// clients are counted over all instances (internal/presence). It decides nothing about graphs and decodes no commit.
//
// Goroutines of a running instance, all ended when Run returns:
//
//   - the accept loop with one goroutine per HTTP request in progress (Fiber's); an idle WebSocket has none
//   - pollers, writers and the timer wheel of the sockets; a reader and a writer for each connection that is not plain TCP
//     (socket.Server.Run)
//   - the Redis feed: it receives, sends subscriptions and probes (eventlog.Feed.Run)
//   - head checks and housekeeping, one per room that has work, one more per room with clients that read old commits
//     (hub.Hub.Run)
//   - the lease and the counts (presence.Presence.Run)
//   - the pool of the Redis client, and Run itself
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/telemetry"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/native"
	"github.com/talus-tally/talus/services/edge/internal/presence"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// Edge is one instance of the service.
type Edge struct {
	cfg      Config
	log      *slog.Logger
	rdb      redis.UniversalClient
	feed     *eventlog.Feed
	hub      *hub.Hub
	presence *presence.Presence
	sockets  *socket.Server
	health   *telemetry.Health
	registry *prometheus.Registry
	listener net.Listener // nil: the routes are served by somebody else
}

// New checks cfg and listens on the address, if there is one. Redis need not be there yet. The instance does nothing
// before Run; New without Run leaks the listener.
func New(cfg Config, log *slog.Logger) (*Edge, error) {
	cfg.Connections = or(cfg.Connections, defaultConnections)
	cfg.Joins = or(cfg.Joins, socket.MaxSlots)
	opts, err := eventlog.Options(or(cfg.RedisURL, defaultRedis))
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
	if err := e.assemble(); err != nil {
		return nil, errors.Join(fmt.Errorf("edge: %w", err), e.close())
	}
	return e, nil
}

// assemble puts the parts on top of each other: log and feed, rooms, the protocol, sockets.
func (e *Edge) assemble() (err error) {
	events := eventlog.New(e.rdb, eventlog.Config{})
	connect := func(h *hub.Hub) hub.Feed {
		e.feed = eventlog.NewFeed(e.rdb, h)
		return e.feed
	}
	e.hub = hub.New(hub.Config{}, source{events}, connect, e.registry, e.log)
	e.presence = presence.New(events, e.registry, e.log)
	e.health = telemetry.NewHealth(e.log, telemetry.Check{Name: "redis", Probe: events.Ready})
	handler := native.New(e.hub, e.presence, e.cfg.Joins, e.registry, e.log)
	e.sockets, err = socket.New(socket.Config{
		Protocols:    []string{native.Subprotocol},
		Admit:        e.admit,
		MessageLimit: maxMessage,
	}, handler)
	if err == nil {
		e.measure()
	}
	return err
}

// maxMessage is the largest request of a client in bytes: all of them are small.
const maxMessage = 64 << 10

// URL is where the service listens, such as "http://127.0.0.1:8081"; empty without a listener.
func (e *Edge) URL() string {
	if e.listener == nil {
		return ""
	}
	return urlOf(e.listener.Addr())
}

// Ready reports whether the instance should get clients: it is not draining, and Redis answers and does not evict.
func (e *Edge) Ready(ctx context.Context) error { return e.health.Ready(ctx) }

// Run serves until ctx ends or serving fails, and returns when everything has ended, in the reverse order of the data's
// way: it stops being ready, sends the clients away and waits for them at most for the drain time, then ends the rooms,
// the lease, the feed and Redis.
func (e *Edge) Run(ctx context.Context) error {
	var feed, rooms, counts, sockets, requests task
	feed.start(e.feed.Run)
	rooms.start(e.hub.Run)
	counts.start(e.presence.Run)
	sockets.start(e.sockets.Run)
	requests.start(e.serve)
	select {
	case <-ctx.Done():
	case <-requests.ended: // before its time
	case <-sockets.ended:
	}
	e.health.Drain()
	e.sendAway()
	err := errors.Join(requests.stop(), sockets.stop(), rooms.stop(), counts.stop(), feed.stop(), e.rdb.Close())
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

// task is something that runs beside others and is stopped in its turn.
type task struct {
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // valid when ended is closed
}

// start runs f until stop. Its life is not that of Run's context: it is ended in its turn.
func (t *task) start(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel, t.ended = cancel, make(chan struct{})
	go func() {
		defer close(t.ended)
		t.err = f(ctx)
	}()
}

// stop ends the task and returns its error.
func (t *task) stop() error {
	t.cancel()
	<-t.ended
	return t.err
}

// sendAway closes all connections: come back in a moment, to another instance.
func (e *Edge) sendAway() {
	ctx, cancel := context.WithTimeout(context.Background(), max(e.cfg.Drain, time.Millisecond))
	defer cancel()
	if err := e.sockets.Close(ctx, restartCode, restartReason()); err != nil {
		e.log.Warn("clients were cut off at the end of the drain time", "err", err)
	}
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
	go func() { served <- app.Listener(e.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err := app.ShutdownWithTimeout(time.Second) // requests are short, and sockets are not the app's
	_ = e.listener.Close()                      // Shutdown does not reach a listener that is not served yet
	if end := <-served; !errors.Is(end, net.ErrClosed) {
		err = errors.Join(err, end)
	}
	return err
}
