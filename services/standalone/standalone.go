// Package standalone is all of Talus in one process: the command service and the edge on one listener, with a Redis
// inside and saved projects in a SQLite file, so that nothing else need be installed.
//
// It promises the behaviour of the two services, which are the same code as in the real topology. It does not promise
// durability for unsaved sessions: with the embedded Redis they end with the process.
//
// Goroutines of a running instance: those of the command service and of the edge, the listener's accept loop with one
// goroutine per open HTTP connection (Fiber's), the embedded Redis' server and its clock, and Run itself. All of them
// have ended when Run returns.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/pkg/telemetry"
	"github.com/talus-tally/talus/services/command"
	"github.com/talus-tally/talus/services/edge"
	"github.com/talus-tally/talus/services/standalone/internal/embedded"
)

// Standalone is one process with everything in it.
type Standalone struct {
	cfg      Config
	log      *slog.Logger
	redis    *embedded.Redis // nil: a real one is used
	command  *command.Command
	edge     *edge.Edge
	health   *telemetry.Health
	registry *prometheus.Registry
	listener net.Listener
}

// New starts the embedded Redis, if one is wanted, makes both services and listens. Nothing is served before Run; New
// without Run leaks the listener.
func New(cfg Config, log *slog.Logger) (*Standalone, error) {
	s := &Standalone{cfg: cfg, log: log, registry: telemetry.NewRegistry()}
	if err := s.assemble(); err != nil {
		return nil, errors.Join(fmt.Errorf("standalone: %w", err), s.abandon())
	}
	return s, nil
}

func (s *Standalone) assemble() (err error) {
	cfg := s.cfg
	cfg.Command.Registry, cfg.Edge.Registry = s.registry, s.registry
	if s.listener, err = net.Listen("tcp", cfg.Addr); err != nil {
		return err
	}
	if cfg.RedisURL == Embedded {
		if s.redis, err = embedded.New(); err != nil {
			return err
		}
		cfg.Command.RedisURL, cfg.Edge.RedisURL = s.redis.URL(), s.redis.URL()
	}
	if s.command, err = command.New(cfg.Command, s.log); err != nil {
		return err
	}
	cfg.Edge.Carrier = s.command.Carrier()
	if s.edge, err = edge.New(cfg.Edge, s.log); err != nil {
		return err
	}
	s.health = telemetry.NewHealth(s.log,
		telemetry.Check{Name: "command", Probe: s.command.Ready},
		telemetry.Check{Name: "edge", Probe: s.edge.Ready})
	return nil
}

// abandon ends what assemble had begun before it failed.
func (s *Standalone) abandon() error {
	ended, end := context.WithCancel(context.Background())
	end()
	var errs []error
	if s.command != nil {
		errs = append(errs, s.command.Run(ended))
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Run(ended))
	}
	if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	return errors.Join(errs...)
}

// URL is where the process listens, such as "http://127.0.0.1:8080".
func (s *Standalone) URL() string { return daemon.URL(s.listener.Addr()) }

// UnsavedEnds reports whether sessions that are not saved end with the process.
func (s *Standalone) UnsavedEnds() bool { return s.redis != nil }

// Run serves until ctx ends or something fails, and returns when everything has ended, in the reverse order of the
// data's way: the clients are sent away, requests in progress end, then the commands, then Redis.
func (s *Standalone) Run(ctx context.Context) error {
	var redis, commands, edges daemon.Task
	if s.redis != nil {
		redis.Start(s.redis.Run)
	}
	commands.Start(s.command.Run)
	edges.Start(s.edge.Run)
	app := s.app()
	served := make(chan error, 1)
	listener := daemon.Impatient(s.listener, s.cfg.Edge.Handshake)
	go func() { served <- app.Listener(listener) }()

	var errs []error
	select {
	case <-ctx.Done():
	case <-commands.Ended(): // before its time
	case <-edges.Ended():
	case err := <-served:
		errs = append(errs, fmt.Errorf("serve: %w", err))
		served <- nil
	}
	s.health.Drain()
	errs = append(errs, edges.Stop(), daemon.Shut(app, listener, served, s.cfg.Drain), commands.Stop(), redis.Stop())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("standalone: %w", err)
	}
	return nil
}

// app is the HTTP application with the routes of both services.
func (s *Standalone) app() *fiber.App {
	app := fiber.New(s.command.AppConfig())
	s.edge.Prepare(app)
	app.Get("/livez", adaptor.HTTPHandler(s.health.Livez()))
	app.Get("/readyz", adaptor.HTTPHandler(s.health.Readyz()))
	app.Get("/metrics", adaptor.HTTPHandler(telemetry.MetricsHandler(s.registry)))
	s.edge.Mount(app)
	s.command.Mount(app)
	return app
}
