// Package httpapi is the REST interface of the command service: it turns requests into calls of the session service and
// results into answers.
//
// It promises the statuses, fields and error codes of the wire contract: every failure, an unknown path, an unknown
// method and a bug included, is a JSON problem that names neither files nor addresses; a request that is refused has
// changed nothing; nothing of a request is kept after its handler has returned. Every handler has a deadline. Answers
// are appended to the response's own buffer without reflection, so that the cost of a command with
// "Prefer: return=minimal" does not depend on the graph.
//
// It decides nothing about graphs, keeps no state, starts no goroutine and does not check who the caller is.
//
// There is one file per part of the contract, which is why the package has more files than most.
package httpapi

import (
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// Config bounds what may come in. Zero fields take the default.
type Config struct {
	Origins     Origins       // pages that may call the API; default none
	Body        int           // bytes of a request body; default 4 MiB
	LoadBody    int           // bytes of the body of load-graph; default 64 MiB
	Depth       int           // nested arrays and objects in a body; default 64
	Timeout     time.Duration // for one request; default 10 s
	LoadTimeout time.Duration // for load-graph and for saving and loading projects; default 60 s
}

func (c Config) withDefaults() Config {
	c.Body = orDefault(c.Body, 4<<20)
	c.LoadBody = orDefault(c.LoadBody, 64<<20)
	c.Depth = orDefault(c.Depth, 64)
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
	c.LoadTimeout = orDefault(c.LoadTimeout, time.Minute)
	return c
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Deps is what the API works with.
type Deps struct {
	Sessions  *session.Service
	Templates *blueprint.Library
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
}

// API serves the routes below /api/v1. It is safe for concurrent use.
type API struct {
	cfg       Config
	sessions  *session.Service
	templates *blueprint.Library
	log       *slog.Logger
	seconds   *prometheus.HistogramVec
}

// New makes an API and registers its metrics.
func New(cfg Config, deps Deps) *API {
	a := &API{
		cfg:       cfg.withDefaults(),
		sessions:  deps.Sessions,
		templates: deps.Templates,
		log:       deps.Logger,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "talus_http_request_seconds",
			Help:    "Time from the end of a request's body to the end of its handler.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"}),
	}
	deps.Metrics.MustRegister(a.seconds)
	return a
}

// Mount adds the routes to r, below /api/v1. If r is an application, requests with unheard-of methods reach them too.
func (a *API) Mount(r fiber.Router) {
	if app, ok := r.(*fiber.App); ok {
		admitAnyMethod(app)
	}
	v1 := r.Group("/api/v1", a.guard)
	v1.Get("/health", a.health)

	v1.Post("/sessions", a.createSession)
	v1.Get("/sessions", a.listSessions)
	v1.Post("/sessions/cleanup", a.cleanup)
	v1.Get("/sessions/:session/info", a.info)
	v1.Delete("/sessions/:session", a.deleteSession)
	v1.Get("/sessions/:session/dirty", a.dirty)
	v1.Post("/sessions/:session/save", a.save)
	v1.Post("/sessions/:session/reset-dirty", a.resetDirty)
	v1.Get("/sessions/:session/velocity", a.velocity)
	v1.Get("/sessions/:session/blocking-graph", a.blocking)

	v1.Get("/graph", a.tree)
	v1.Get("/sessions/:session/graph", a.graph)
	v1.Get("/sessions/:session/graph/tree", a.tree)
	v1.Get("/sessions/:session/graph/nodes/:node", a.node)
	v1.Post("/sessions/:session/graph/search", a.search)
	v1.Get("/projects/:project/graph/nodes/:node", a.node)
	v1.Post("/projects/:project/graph/search", a.search)
	v1.Get("/sessions/:session/events", a.events)
	v1.Post("/sessions/:session/load-graph", a.loadGraph)

	v1.Post("/commands/execute", a.execute)
	v1.Post("/commands/batch", a.batch)
	v1.Get("/commands/state", a.state)
	v1.Post("/sessions/:session/undo", a.undo)
	v1.Post("/sessions/:session/redo", a.redo)

	v1.Post("/projects", a.createProject)
	v1.Get("/projects", a.listProjects)
	v1.Get("/projects/:project", a.project)
	v1.Delete("/projects/:project", a.deleteProject)
	v1.Post("/projects/:project/save", a.saveProject)
	v1.Post("/projects/:project/load", a.loadProject)
	v1.Get("/templates", a.listTemplates)
	v1.Get("/templates/:template/schema", a.schema)
}

func (a *API) health(c *fiber.Ctx) error {
	return send(c, fiber.StatusOK, append(buffer(c), `{"status":"ok"}`...))
}
