// Package command is the command service: it takes commands over REST, decides each against the session's graph and
// commits what it accepted to Redis, from where the edges carry it to the clients.
//
// It promises what its parts promise (see the packages below internal): an answered command is in the log exactly once,
// a refused one has changed nothing, and any number of instances may serve the same sessions, because an instance owns
// nothing. It holds no client connections beyond the requests in progress.
//
// Goroutines of a running instance: the accept loop with one goroutine per open HTTP connection (Fiber's), one per
// session that has work to do and one sweeper of idle sessions (session), the pool of the Redis client, and Run itself.
// All of them have ended when Run returns.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/telemetry"
	"github.com/talus-tally/talus/services/command/internal/httpapi"
	"github.com/talus-tally/talus/services/command/internal/project"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// Ballast is the ballast in bytes of a process that commits commands (see daemon.Program). A command leaves 10 KB of garbage
// and the graphs that are warm are few MiB, so that without it the collector would run fifty times a second and take a
// tenth of the processor.
const Ballast = 64 << 20

// Command is one instance of the service.
type Command struct {
	cfg      Config
	log      *slog.Logger
	rdb      redis.UniversalClient
	projects project.Store
	sessions *session.Service
	api      *httpapi.API
	health   *telemetry.Health
	registry *prometheus.Registry
	listener net.Listener // nil: the routes are served by somebody else
}

// New checks cfg, reads the templates, opens the project store and listens on the address, if there is one. Redis need
// not be there yet. The instance does nothing before Run; New without Run leaks the listener.
func New(cfg Config, log *slog.Logger) (*Command, error) {
	opts, err := eventlog.Options(orDefault(cfg.RedisURL, defaultRedis))
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	templates, err := library(cfg.TemplatesDir, log)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	s := &Command{cfg: cfg, log: log, rdb: redis.NewUniversalClient(opts), registry: cfg.Registry}
	if s.registry == nil {
		s.registry = telemetry.NewRegistry()
	}
	if s.projects, err = project.Open(orDefault(cfg.ProjectsURL, "redis:"), s.rdb); err != nil {
		return nil, errors.Join(fmt.Errorf("command: %w", err), s.rdb.Close())
	}
	events := eventlog.New(s.rdb, eventlog.Config{
		Retention: orForever(cfg.LogRetention), MaxLogBytes: cfg.LogBytes, UndoDepth: cfg.UndoDepth, Registry: s.registry,
	})
	s.health = telemetry.NewHealth(log,
		telemetry.Check{Name: "redis", Probe: events.Ready},
		telemetry.Check{Name: "scripts", Probe: untilGood(events.SelfTest)})
	s.assemble(events, templates)
	if cfg.Addr == "" {
		return s, nil
	}
	if s.listener, err = net.Listen("tcp", cfg.Addr); err != nil {
		return nil, errors.Join(fmt.Errorf("command: %w", err), s.close())
	}
	return s, nil
}

// assemble makes the session service and the API on top of the log.
func (s *Command) assemble(events *eventlog.Log, templates *blueprint.Library) {
	deps := session.Deps{
		Log:       events,
		Templates: templates,
		Projects:  s.projects,
		Emitter:   events,
		Now:       time.Now,
		NewID:     newID,
		Logger:    s.log,
		Metrics:   s.registry,
	}
	if s.cfg.WithoutEvents {
		deps.Emitter = nil
	}
	s.sessions = session.New(session.Config{TTL: orForever(s.cfg.SessionTTL)}, deps)
	s.api = httpapi.New(httpapi.Config{
		Origins:  httpapi.Origins(s.cfg.Origins),
		Body:     int(s.cfg.Body),
		LoadBody: int(s.cfg.LoadBody),
		Depth:    s.cfg.Depth,
		Timeout:  s.cfg.Timeout,
	}, httpapi.Deps{Sessions: s.sessions, Templates: templates, Logger: s.log, Metrics: s.registry})
}

// untilGood is a probe that is not run again once it has succeeded.
func untilGood(probe func(context.Context) error) func(context.Context) error {
	var good atomic.Bool
	return func(ctx context.Context) error {
		if good.Load() {
			return nil
		}
		err := probe(ctx)
		good.Store(err == nil)
		return err
	}
}

// orForever turns an operator's 0, "no bound", into the negative value that the parts below take for it.
func orForever[T int | time.Duration](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// newID draws a time-ordered id (UUIDv7). Without randomness nothing can go on.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// library reads the templates of a directory, or the embedded ones.
func library(dir string, log *slog.Logger) (*blueprint.Library, error) {
	if dir == "" {
		return blueprint.Embedded(log)
	}
	return blueprint.Load(os.DirFS(dir), log)
}

// Mount adds the routes of the API, all below /api/v1, to r, which belongs to an application made with AppConfig.
func (s *Command) Mount(r fiber.Router) { s.api.Mount(r) }

// AppConfig is how an application must be made that serves the routes: body limits, and problems as JSON for what no
// route answers.
func (s *Command) AppConfig() fiber.Config { return s.api.AppConfig() }

// URL is where the service listens, such as "http://127.0.0.1:8080"; empty without a listener.
func (s *Command) URL() string {
	if s.listener == nil {
		return ""
	}
	return urlOf(s.listener.Addr())
}

// Ready reports whether the instance should get requests: Redis answers, does not evict and has run every script.
func (s *Command) Ready(ctx context.Context) error { return s.health.Ready(ctx) }

// Run serves until ctx ends or serving fails, and returns when everything has ended: it stops being ready, stops
// accepting, lets requests in progress end for as long as the drain time, then the sessions, then Redis.
func (s *Command) Run(ctx context.Context) error {
	// The sessions outlive ctx: requests that are still in progress need them.
	work, stop := context.WithCancel(context.Background())
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return s.sessions.Run(work) })
	err := s.serve(ctx)
	stop()
	return errors.Join(err, group.Wait(), s.close())
}

// silence is how long a connection may be open before its first request.
const silence = 2 * time.Minute

// serve runs the instance's own listener, if it has one, until ctx ends.
func (s *Command) serve(ctx context.Context) error {
	if s.listener == nil {
		<-ctx.Done()
		return nil
	}
	app := fiber.New(s.AppConfig())
	app.Get("/livez", adaptor.HTTPHandler(s.health.Livez()))
	app.Get("/readyz", adaptor.HTTPHandler(s.health.Readyz()))
	app.Get("/metrics", adaptor.HTTPHandler(telemetry.MetricsHandler(s.registry)))
	s.Mount(app)
	s.log.Info("command service listens", "url", s.URL())
	served := make(chan error, 1)
	listener := daemon.Impatient(s.listener, silence)
	go func() { served <- app.Listener(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("command: serve: %w", err)
	case <-ctx.Done():
	}
	s.health.Drain()
	if err := daemon.Shut(app, listener, served, s.cfg.Drain); err != nil {
		return fmt.Errorf("command: stop: %w", err)
	}
	return nil
}

// close ends the connections to the stores.
func (s *Command) close() error { return errors.Join(s.projects.Close(), s.rdb.Close()) }
