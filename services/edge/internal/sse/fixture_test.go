package sse_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/native"
	"github.com/talus-tally/talus/services/edge/internal/presence"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/sse"
)

// source is the log as rooms read it, without the log's own checks.
type source struct{ *eventlog.Log }

func (s source) Heads(ctx context.Context, sessions []uuid.UUID) []hub.Head {
	heads := make([]hub.Head, len(sessions))
	for i, h := range s.Log.Heads(ctx, sessions) {
		heads[i].Position = h.Position
	}
	return heads
}

func (s source) Read(ctx context.Context, session uuid.UUID, from uint64, limit int) ([]wire.Record, bool, error) {
	tail, err := s.Log.Read(ctx, session, from-1, limit)
	if trimmed := (*eventlog.TrimmedError)(nil); errors.As(err, &trimmed) {
		tail, err = s.Log.Read(ctx, session, trimmed.Oldest-1, limit)
	}
	records := make([]wire.Record, len(tail.Records))
	for i, e := range tail.Records {
		records[i] = e.Record
	}
	return records, tail.More(), err
}

// edge is the whole path from Redis to the wire, without the service around it.
type edge struct {
	t        *testing.T
	log      *eventlog.Log
	rooms    *hub.Hub
	sockets  *socket.Server
	registry *prometheus.Registry
	addr     string
	stop     func()
}

// serve runs an edge with the endpoints /ws and /sse until the test ends or stop is called.
func serve(t *testing.T, cfg socket.Config) *edge {
	t.Helper()
	rdb := redistest.Client(t, redistest.URL(t))
	logger := slog.New(slog.DiscardHandler)
	e := &edge{t: t, log: eventlog.New(rdb, eventlog.Config{}), registry: prometheus.NewRegistry()}
	var feed *eventlog.Feed
	counts := presence.New(e.log, e.registry, logger)
	e.rooms = hub.New(hub.Config{Chunk: 100, Presence: counts}, source{e.log}, func(h *hub.Hub) hub.Feed {
		feed = eventlog.NewFeed(rdb, h)
		return feed
	}, e.registry, logger)
	stop := e.listen(cfg, e.rooms, native.New(e.rooms, nil, native.Limits{Sessions: 3}, e.registry, logger))
	ends := []func(){run(e.rooms.Run), run(counts.Run), run(feed.Run)}
	stopped := false
	e.stop = func() {
		if stopped {
			return
		}
		stopped = true
		stop()
		for _, end := range ends {
			end()
		}
	}
	t.Cleanup(func() { e.stop() })
	return e
}

// listen serves sockets on a free port; the returned function ends that.
func (e *edge) listen(cfg socket.Config, rooms sse.Hub, others socket.Handler) func() {
	e.t.Helper()
	var err error
	if e.sockets, err = socket.New(cfg, others); err != nil {
		e.t.Fatal(err)
	}
	body := func(r sse.Refusal) []byte { return fmt.Appendf(nil, `{"code":%q,"message":%q}`, r.Code, r.Message) }
	streams := sse.New(rooms, e.sockets, body, e.registry)
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: func(c *fiber.Ctx, err error) error {
		if r, ok := err.(*sse.Refusal); ok {
			return c.Status(r.Code.Status()).Send(body(*r))
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	app.Server().KeepHijackedConns = true
	app.Server().ReduceMemoryUsage = true
	app.Get("/ws", e.sockets.Upgrade)
	app.All("/sse", func(c *fiber.Ctx) error { c.Set("X-Before", "kept"); return c.Next() }, streams.Serve)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	e.addr = listener.Addr().String()
	accept, sockets := run(func(context.Context) error { return app.Listener(listener) }), run(e.sockets.Run)
	return func() {
		_ = app.ShutdownWithTimeout(time.Second)
		_ = listener.Close()
		accept()
		sockets()
		http.DefaultClient.CloseIdleConnections()
	}
}

// run starts f; the returned function ends it and waits.
func run(f func(context.Context) error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f(ctx) }()
	return func() { cancel(); <-done }
}

// session is a session with its head.
type session struct {
	e  *edge
	id uuid.UUID
	at wire.Position
}

func (e *edge) creates() *session {
	e.t.Helper()
	s := &session{e: e, id: uuid.New()}
	head, err := e.log.Create(e.t.Context(), s.id, eventlog.NewSession{Epoch: wire.Epoch(time.Now().UnixNano()), Genesis: wire.Digest{1, 2, 3}})
	if err != nil {
		e.t.Fatal(err)
	}
	s.at = head.Position
	return s
}

// commits appends n commits of one event each, whose text is pad.
func (s *session) commits(n int, pad string) {
	s.e.t.Helper()
	for range n {
		delta := wire.AppendDelta(nil, wire.Delta{})
		rec := wire.Build(wire.Header{
			Session: s.id, Command: uuid.New(), Epoch: s.at.Epoch, Version: s.at.Version + 1, Prev: s.at.Digest, Time: time.Now().UnixMilli(),
		}, fmt.Appendf(nil, `"session_id":"%s"`, s.id), []wire.Event{{Name: wire.CommandExecuted, Fields: fmt.Appendf(nil, `"pad":%q`, pad)}}, delta)
		at, err := s.e.log.Commit(s.e.t.Context(), eventlog.Commit{Session: s.id, Base: s.at, Record: rec, Delta: delta})
		if err != nil {
			s.e.t.Fatal(err)
		}
		s.at = at
	}
}

// metric sums a counter or gauge over its labels.
func (e *edge) metric(name string) float64 {
	e.t.Helper()
	families, err := e.registry.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}
