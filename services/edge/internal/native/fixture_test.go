package native_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
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
)

// edge is the whole path from Redis to the wire, without the service around it.
type edge struct {
	t    *testing.T
	log  *eventlog.Log
	url  string
	stop func()
}

// source is the log as rooms read it, without the log's own checks.
type source struct{ *eventlog.Log }

func (s source) Read(ctx context.Context, session uuid.UUID, from uint64, limit int) ([]wire.Record, error) {
	entries, err := s.Log.Read(ctx, session, from-1, limit)
	records := make([]wire.Record, len(entries))
	for i, e := range entries {
		records[i] = e.Record
	}
	return records, err
}

func serve(t *testing.T) *edge {
	t.Helper()
	rdb := redistest.Client(t, redistest.URL(t))
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	registry := prometheus.NewRegistry()
	e := &edge{t: t, log: eventlog.New(rdb, eventlog.Config{})}
	var feed *eventlog.Feed
	rooms := hub.New(hub.Config{JoinTimeout: 2 * time.Second}, source{e.log}, func(h *hub.Hub) hub.Feed {
		feed = eventlog.NewFeed(rdb, h)
		return feed
	}, registry, logger)
	counts := presence.New(e.log, registry, logger)
	sockets, err := socket.New(socket.Config{Protocols: []string{native.Subprotocol}, MessageLimit: 4096},
		native.New(rooms, counts, 3, registry, logger))
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
	ends := []func(){
		run(func(context.Context) error { return app.Listener(listener) }),
		run(sockets.Run), run(rooms.Run), run(counts.Run), run(feed.Run),
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

// client is a native client.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

// message is any frame of the server.
type message struct {
	Type      string          `json:"type"`
	ID        json.RawMessage `json:"id"`
	Session   uuid.UUID       `json:"session_id"`
	Client    uuid.UUID       `json:"client_id"`
	Epoch     string          `json:"epoch"`
	Version   uint64          `json:"version"`
	Position  string          `json:"position"`
	Prev      string          `json:"prev"`
	Count     int             `json:"client_count"`
	Resumed   bool            `json:"resumed"`
	Reason    string          `json:"reason"`
	Code      string          `json:"code"`
	Message   string          `json:"message"`
	Retryable *bool           `json:"retryable"`
	Event     string          `json:"event"`
	Events    []struct {
		Event string         `json:"event"`
		Data  map[string]any `json:"data"`
	} `json:"events"`
}

func (e *edge) dials(query url.Values) *client {
	e.t.Helper()
	target := e.url
	if query != nil {
		target += "?" + query.Encode()
	}
	conn, _, err := websocket.Dial(e.t.Context(), target, &websocket.DialOptions{Subprotocols: []string{native.Subprotocol}})
	if err != nil {
		e.t.Fatal(err)
	}
	if conn.Subprotocol() != native.Subprotocol {
		e.t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	e.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: e.t, conn: conn}
}

func (c *client) says(format string, args ...any) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

// hears reads the next frame and checks its type.
func (c *client) hears(kind string) message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatalf("waiting for %s: %v", kind, err)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	if m.Type != kind {
		c.t.Fatalf("heard %s, want %s", text, kind)
	}
	return m
}

// hearsCommits reads the commits of versions from … to of a session.
func (c *client) hearsCommits(s *session, from, to uint64) {
	c.t.Helper()
	for v := from; v <= to; v++ {
		m := c.hears("commit")
		if m.Version != v || m.Session != s.id {
			c.t.Fatalf("commit %d of %s, want %d of %s", m.Version, m.Session, v, s.id)
		}
	}
}

// refused reads an error frame.
func (c *client) refused(code wire.Code, id string) message {
	c.t.Helper()
	m := c.hears("error")
	if m.Code != string(code) || string(m.ID) != id || m.Message == "" || m.Retryable == nil || *m.Retryable != code.Retryable() {
		c.t.Errorf("error %+v, want code %s for request %s", m, code, id)
	}
	return m
}

// isSentAway waits for the end of the connection.
func (c *client) isSentAway(code websocket.StatusCode) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	if got := websocket.CloseStatus(err); got != code {
		c.t.Errorf("closed with %d (%v, %s), want %d", got, err, text, code)
	}
}

func (c *client) joins(s *session, id string) message {
	c.t.Helper()
	c.says(`{"type":"join","id":"%s","session_id":"%s"}`, id, s.id)
	m := c.hears("joined")
	if string(m.ID) != `"`+id+`"` {
		c.t.Errorf("answer to %s", m.ID)
	}
	return m
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
