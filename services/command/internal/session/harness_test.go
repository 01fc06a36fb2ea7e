package session_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/project"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// tree is the embedded template that most tests use.
const tree = "generic-tree"

// instance is one command service. Several on the same Redis share its sessions.
type instance struct {
	*session.Service
	t   testing.TB
	log *eventlog.Log
	rdb redis.UniversalClient
	ear *ear
	reg *prometheus.Registry

	later atomic.Int64 // how far the instance's clock is ahead
}

func (i *instance) now() time.Time { return time.Now().Add(time.Duration(i.later.Load())) }

// ear hears what is published without a version.
type ear struct {
	mu    sync.Mutex
	heard []wire.Ephemeral
}

func (e *ear) Publish(_ context.Context, event wire.Ephemeral) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, event)
	return nil
}

func (e *ear) events() []wire.Ephemeral {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard
}

// options bend an instance for one test.
type options struct {
	url      string
	cfg      session.Config
	log      eventlog.Config
	projects project.Store
	silent   bool
}

func start(t testing.TB, opts options) *instance {
	t.Helper()
	if opts.url == "" {
		opts.url = redistest.URL(t)
	}
	redisOptions, err := eventlog.Options(opts.url)
	must(t, err)
	rdb := redis.NewUniversalClient(redisOptions)
	templates, err := blueprint.Embedded(slog.New(slog.DiscardHandler))
	must(t, err)
	if opts.projects == nil {
		opts.projects = project.NewRedis(rdb)
	}
	i := &instance{t: t, rdb: rdb, log: eventlog.New(rdb, opts.log), ear: &ear{}, reg: prometheus.NewRegistry()}
	deps := session.Deps{
		Log: i.log, Templates: templates, Projects: opts.projects, Emitter: i.ear, Now: i.now,
		NewID: newID, Logger: slog.New(slog.DiscardHandler), Metrics: i.reg,
	}
	if opts.silent {
		deps.Emitter = nil
	}
	i.Service = session.New(opts.cfg, deps)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		_ = rdb.Close()
	})
	return i
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// desk is a session as one instance serves it.
type desk struct {
	*instance
	ctx  context.Context
	id   uuid.UUID
	root uuid.UUID
	made session.Result
}

// project makes a session with a project of the generic template.
func (i *instance) project() *desk {
	i.t.Helper()
	r, err := i.CreateProject(i.t.Context(), tree, "House", session.Call{Actor: "ann"})
	must(i.t, err)
	return &desk{instance: i, ctx: session.NewContext(i.t.Context(), r.Session), id: r.Session, root: r.Node, made: r}
}

// on is the same session on another instance.
func (d *desk) on(i *instance) *desk {
	return &desk{instance: i, ctx: d.ctx, id: d.id, root: d.root, made: d.made}
}

// try executes a command; fields are its data.
func (d *desk) try(kind string, fields map[string]any, call session.Call) (session.Result, error) {
	d.t.Helper()
	return d.Execute(d.ctx, kind, object(d.t, fields), call)
}

func object(t testing.TB, fields map[string]any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(fields)
	must(t, err)
	return data
}

func (d *desk) does(kind string, fields map[string]any) session.Result {
	d.t.Helper()
	r, err := d.try(kind, fields, session.Call{Actor: "ann"})
	if err != nil {
		d.t.Fatalf("%s: %v", kind, err)
	}
	return r
}

func (d *desk) creates(name string) uuid.UUID {
	d.t.Helper()
	return d.does("CreateNode", d.folder(name)).Node
}

func (d *desk) folder(name string) map[string]any {
	return map[string]any{"blueprint_type_id": "tree_folder", "parent_id": d.root, "name": name}
}

func (d *desk) renames(id uuid.UUID, name string) session.Result {
	d.t.Helper()
	return d.does("UpdateProperty", rename(id, name))
}

func rename(id uuid.UUID, name string) map[string]any {
	return map[string]any{"node_id": id, "property_id": "name", "new_value": name}
}

// hash is the graph's content hash with its position.
func (d *desk) hash() (h [32]byte, at wire.Position) {
	d.t.Helper()
	must(d.t, d.View(d.ctx, func(v session.View) error {
		h, at = graph.Hash(v.Graph), v.Position
		return v.Graph.Check()
	}))
	return h, at
}

// name is what the node is called, empty if it is not there.
func (d *desk) name(id uuid.UUID) (name string) {
	d.t.Helper()
	must(d.t, d.View(d.ctx, func(v session.View) error {
		if n, ok := v.Graph.Node(id); ok {
			name = n.Name
		}
		return nil
	}))
	return name
}

func (d *desk) info() session.Info {
	d.t.Helper()
	info, err := d.Info(d.ctx)
	must(d.t, err)
	return info
}

// records is the whole log.
func (d *desk) records() []wire.Record {
	d.t.Helper()
	c, err := d.Commits(d.ctx, session.After{}, 100_000)
	must(d.t, err)
	return c.Records
}

// fold is the graph that the log's private deltas make.
func (d *desk) fold() (*graph.Graph, wire.Position) {
	d.t.Helper()
	tail, err := d.log.Read(d.ctx, d.id, 0, 100_000)
	entries := tail.Records
	must(d.t, err)
	g, at := graph.New(), wire.Position{}
	for n, e := range entries {
		if e.Record.Version != uint64(n)+1 || (n > 0 && !e.Record.Follows(at)) || !e.Record.VerifyDelta(e.Delta) {
			d.t.Fatalf("record %d is version %d and does not follow", n, e.Record.Version)
		}
		delta, err := wire.ParseDelta(e.Delta)
		must(d.t, err)
		for _, im := range delta.Images {
			var node *graph.Node
			if im.Bytes != nil {
				node, err = graph.ParseImage(im.Node, im.Bytes)
				must(d.t, err)
			}
			g.Put(im.Node, node)
		}
		at = e.Record.Position()
	}
	must(d.t, g.Check())
	return g, at
}

// names are the events of a record in order.
func names(r wire.Record) (list []wire.EventName) {
	for name := range r.Events() {
		list = append(list, name)
	}
	return list
}

// unwind is Undo or Redo.
type unwind = func(context.Context, session.UndoRequest, session.Call) (session.Result, error)

// metric is the value of a counter or a gauge.
func (i *instance) metric(name string) float64 {
	i.t.Helper()
	families, err := i.reg.Gather()
	must(i.t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	i.t.Fatalf("there is no metric %s", name)
	return 0
}

// eventually waits until ok says yes.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
