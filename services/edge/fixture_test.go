package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge"
)

// serve runs an edge on the Redis at redisURL; the returned function stops it as a signal does.
func serve(t *testing.T, cfg edge.Config) (*edge.Edge, func()) {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	if cfg.RedisURL == "" {
		cfg.RedisURL = redistest.URL(t)
	}
	if cfg.Drain == 0 {
		cfg.Drain = 5 * time.Second
	}
	e, err := edge.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	eventually(t, "the edge is ready", func() bool { status, _ := get(t, e.URL()+"/readyz"); return status == http.StatusOK })
	return e, stop
}

// session is a session with its head, as a writer has it.
type session struct {
	t   *testing.T
	log *eventlog.Log
	id  uuid.UUID
	at  wire.Position
}

func creates(t *testing.T, redisURL string) *session {
	t.Helper()
	return createsWith(t, redisURL, eventlog.Config{})
}

func createsWith(t *testing.T, redisURL string, cfg eventlog.Config) *session {
	t.Helper()
	s := &session{t: t, log: eventlog.New(redistest.Client(t, redisURL), cfg), id: uuid.New()}
	head, err := s.log.Create(t.Context(), s.id, eventlog.NewSession{Epoch: wire.Epoch(time.Now().UnixNano()), Genesis: wire.Digest{9}})
	if err != nil {
		t.Fatal(err)
	}
	s.at = head.Position
	return s
}

func (s *session) commits(n int) {
	s.t.Helper()
	for range n {
		if err := s.commit(s.t.Context(), 100); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *session) commit(ctx context.Context, size int) error {
	delta := wire.AppendDelta(nil, wire.Delta{})
	rec := wire.Build(wire.Header{
		Session: s.id, Command: uuid.New(), Epoch: s.at.Epoch, Version: s.at.Version + 1, Prev: s.at.Digest, Time: time.Now().UnixMilli(),
	}, fmt.Appendf(nil, `"session_id":"%s"`, s.id),
		[]wire.Event{{Name: wire.NodeCreated, Fields: fmt.Appendf(nil, `"pad":"%s"`, strings.Repeat("x", size))}}, delta)
	at, err := s.log.Commit(ctx, eventlog.Commit{Session: s.id, Base: s.at, Record: rec, Delta: delta})
	if err == nil {
		s.at = at
	}
	return err
}

// dial opens a WebSocket and joins the session by URL; after may be empty.
func (s *session) dial(e *edge.Edge, after string) *websocket.Conn {
	s.t.Helper()
	query := url.Values{"session_id": {s.id.String()}}
	if after != "" {
		query.Set("after", after)
	}
	conn, _, err := websocket.Dial(s.t.Context(), e.URL()+"/ws?"+query.Encode(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadLimit(16 << 20)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// read is the next frame that does not say who is there, and what a reader looks at in it.
func read(t *testing.T, conn *websocket.Conn) (text string, m struct {
	Type, Position, Reason string
	Version                uint64
	Resumed                bool
}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var b []byte
	for b == nil || bytes.Contains(b, []byte(`"event":"session:`)) {
		var err error
		if _, b, err = conn.Read(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return string(b), m
}

// commitsFrom reads the commits of versions from … to and returns their texts. Between them a client may be told that its room is
// stale, when the machine is slow.
func commitsFrom(t *testing.T, conn *websocket.Conn, from, to uint64) []string {
	t.Helper()
	var texts []string
	for v := from; v <= to; v++ {
		text, m := read(t, conn)
		for m.Type == "status" {
			text, m = read(t, conn)
		}
		if m.Type != "commit" || m.Version != v {
			t.Fatalf("got %.200s, want commit %d", text, v)
		}
		texts = append(texts, text)
	}
	return texts
}

func get(t *testing.T, target string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
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
