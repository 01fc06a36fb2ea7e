// Package session is the application core of the command service: it takes a
// command for a session, decides it against the session's graph, and commits it.
//
// It promises that a command which it reports as done is in the session's log
// exactly once, at the version it reports; that a refusal, a read and an empty undo
// are answered from a state that was the session's head at some moment after the
// request arrived, never from an older one that happened to be in memory; and that
// nothing decided on a state that was not committed is ever shown to anybody. It
// owns nothing: graphs in memory are copies of what the log says, any number of
// instances may serve the same session, and all of them may be killed at any time.
//
// It knows neither HTTP nor Redis. Sessions are named by the context
// ([NewContext]), and events are published only if an [Emitter] was given.
//
// Goroutines: [Service.Run] sweeps sessions that nobody uses; each session with
// work to do has one goroutine, its worker, which alone changes its graph and ends
// when its queue is empty; a reading of a session's head, at most one in flight and
// one waiting, has one. Run waits for them all.
//
// There are more than ten files because each holds one step of a command's way
// (queue, group, live, plan, encode, commit) or one group of calls.
package session

import (
	"container/list"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/project"
)

// Config bounds the service. Zero fields take the default.
type Config struct {
	TTL        time.Duration // idle time after which a session without clients is removed; default 24 h, negative: never
	SweepEvery time.Duration // between two looks for such sessions; default 5 min
	Deadline   time.Duration // for one command, waiting and retries included, and for a look at a head; default 2 s
	Calls      int           // in progress for all sessions; more are refused at once; default 8,192
	Queue      int           // commands that may wait for one session; default 1,024
	QueueBytes int64         // their size; default 32 MiB
	Warm       int           // sessions kept in memory; default 1,024
	WarmBytes  int64         // their size, about; default 512 MiB
}

func (c Config) withDefaults() Config {
	setDefault(&c.TTL, 24*time.Hour)
	setDefault(&c.SweepEvery, 5*time.Minute)
	setDefault(&c.Deadline, 2*time.Second)
	setDefault(&c.Calls, 8192)
	setDefault(&c.Queue, 1024)
	setDefault(&c.QueueBytes, 32<<20)
	setDefault(&c.Warm, 1024)
	setDefault(&c.WarmBytes, 512<<20)
	return c
}

func setDefault[T int | int64 | time.Duration](v *T, fallback T) {
	if *v == 0 {
		*v = fallback
	}
}

// Emitter publishes events that are in no log.
type Emitter interface {
	Publish(ctx context.Context, e wire.Ephemeral) error
}

// Templates finds a template by its id.
type Templates interface {
	Template(id string) (*blueprint.Template, error)
}

// Deps is what the service works with. All but Emitter must be given.
type Deps struct {
	Log       *eventlog.Log
	Templates Templates
	Projects  project.Store
	Emitter   Emitter // nil: commits are silent and nothing is published
	Now       func() time.Time
	NewID     func() uuid.UUID
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
}

// Service answers for all sessions. Its methods may be called by any goroutine.
type Service struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	workers sync.WaitGroup // goroutines of sessions
	warm    warm
	gate    gate
}

// New makes a service and registers its metrics.
func New(cfg Config, deps Deps) *Service {
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, deps: deps, log: deps.Logger}
	s.warm = warm{count: cfg.Warm, bytes: cfg.WarmBytes, sessions: make(map[uuid.UUID]*list.Element)}
	s.gate = gate{limit: cfg.Calls, slow: cfg.Deadline / 2}
	s.metrics = newMetrics(deps.Metrics, &s.warm, &s.gate)
	return s
}

// Run removes sessions that nobody uses, until ctx ends; then it waits for the work
// that was accepted before. No call may be made after ctx has ended.
func (s *Service) Run(ctx context.Context) error {
	defer s.workers.Wait()
	if s.cfg.TTL < 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(s.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			removed, _, err := s.Cleanup(ctx, s.cfg.TTL)
			if err != nil && ctx.Err() == nil {
				s.log.Warn("idle sessions were not all removed", "err", err)
			}
			if removed > 0 {
				s.log.Info("idle sessions were removed", "sessions", removed)
			}
		}
	}
}

// open gets the session that ctx names. It must be released.
func (s *Service) open(ctx context.Context) (*live, error) {
	id, ok := FromContext(ctx)
	if !ok {
		return nil, ErrNoSession
	}
	return s.acquire(id), nil
}

func (s *Service) acquire(id uuid.UUID) *live {
	return s.warm.acquire(id, func() *live {
		l := &live{svc: s, id: id, barrier: newBarrier(s.cfg.Deadline, &s.workers)}
		l.queue = queue{limit: s.cfg.Queue, bytes: s.cfg.QueueBytes, group: &s.workers, together: l.group}
		return l
	})
}

// within calls fn with the session that ctx names.
func (s *Service) within(ctx context.Context, fn func(*live) error) error {
	l, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.warm.release(l)
	return s.gate.pass(func() error { return fn(l) })
}

// template finds the template of a session. One that is gone or broken leaves the
// session without rules, so that people still reach their graph.
func (s *Service) template(id string) *blueprint.Template {
	if id == "" {
		return nil
	}
	t, err := s.deps.Templates.Template(id)
	if err != nil {
		s.log.Warn("session goes on without its template", "template", id, "err", err)
		return nil
	}
	return t
}
