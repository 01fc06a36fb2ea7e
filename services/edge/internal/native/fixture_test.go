package native_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/native"
	"github.com/talus-tally/talus/services/edge/internal/presence"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// edge is the whole path from Redis to the wire, without the service around it.
type edge struct {
	t    *testing.T
	log  *eventlog.Log
	url  string
	stop func()

	handler  *native.Handler
	endRooms func()
	refused  chan string      // reasons of refusals
	executes http.HandlerFunc // the command service
}

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
	records := make([]wire.Record, len(tail.Records))
	for i, e := range tail.Records {
		records[i] = e.Record
	}
	return records, tail.More(), err
}

func serve(t *testing.T) *edge {
	t.Helper()
	return serveWithin(t, native.Limits{}, socket.Limits{})
}

// serveWithin is serve with limits, but for the three sessions of a connection.
func serveWithin(t *testing.T, limits native.Limits, transport socket.Limits) *edge {
	t.Helper()
	rdb := redistest.Client(t, redistest.URL(t))
	logger := slog.New(slog.DiscardHandler)
	registry := prometheus.NewRegistry()
	e := &edge{t: t, log: eventlog.New(rdb, eventlog.Config{}), refused: make(chan string, 100)}
	limits.Sessions, limits.Refused = 3, func(reason string) { e.refused <- reason }
	var feed *eventlog.Feed
	counts := presence.New(e.log, registry, logger)
	rooms := hub.New(hub.Config{JoinTimeout: 2 * time.Second, Presence: counts}, source{e.log}, func(h *hub.Hub) hub.Feed {
		feed = eventlog.NewFeed(rdb, h)
		return feed
	}, registry, logger)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.executes(w, r) }))
	t.Cleanup(service.Close)
	commander := commands.New(commands.Config{URL: service.URL, Problem: func(code wire.Code, message string) []byte {
		return fmt.Appendf(nil, `{"error":{"code":%q,"message":%q}}`, code, message)
	}}, registry)
	e.handler = native.New(rooms, commander, limits, registry, logger)
	sockets, err := socket.New(socket.Config{Protocols: []string{native.Subprotocol}, MessageLimit: 4096, Limits: transport}, e.handler)
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Server().KeepHijackedConns = true
	app.Get("/ws", sockets.Upgrade)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.url = "ws://" + listener.Addr().String() + "/ws"
	e.endRooms = run(rooms.Run)
	ends := []func(){
		run(func(context.Context) error { return app.Listener(listener) }),
		run(sockets.Run), run(commander.Run), e.endRooms, run(counts.Run), run(feed.Run),
	}
	e.stop = func() {
		_ = app.Shutdown()
		for _, end := range ends {
			end()
		}
	}
	t.Cleanup(func() { e.stop() })
	return e
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

// commits appends n commits.
func (s *session) commits(n int) {
	s.e.t.Helper()
	for range n {
		command := uuid.New()
		delta := wire.AppendDelta(nil, wire.Delta{})
		rec := wire.Build(wire.Header{
			Session: s.id, Command: command, Epoch: s.at.Epoch, Version: s.at.Version + 1, Prev: s.at.Digest, Time: time.Now().UnixMilli(),
		}, fmt.Appendf(nil, `"session_id":"%s","command_id":"%s"`, s.id, command),
			[]wire.Event{{Name: wire.CommandExecuting}, {Name: wire.CommandExecuted, Fields: []byte(`"success":true`)}}, delta)
		at, err := s.e.log.Commit(s.e.t.Context(), eventlog.Commit{Session: s.id, Base: s.at, Record: rec, Delta: delta})
		if err != nil {
			s.e.t.Fatal(err)
		}
		s.at = at
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

func longText(n int) string { return strings.Repeat("x", n) }
