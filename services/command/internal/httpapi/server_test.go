package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/command/internal/httpapi"
	"github.com/talus-tally/talus/services/command/internal/project"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// server is the API on a listener of its own, with a session service and a Redis behind it.
type server struct {
	url   string
	redis *miniredis.Miniredis // nil: a Redis that the caller named
	log   *logBuffer
}

// logBuffer collects what the service logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start serves the API on an embedded Redis.
func start(t testing.TB) *server {
	t.Helper()
	mini := miniredis.RunT(t)
	s := startOn(t, "redis://"+mini.Addr()+"/0", httpapi.Config{Origins: httpapi.Origins{"https://plan.example"}})
	s.redis = mini
	return s
}

// startOn serves the API on the Redis at url. Everything ends with the test.
func startOn(t testing.TB, url string, cfg httpapi.Config) *server {
	t.Helper()
	s := &server{log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	opts, err := eventlog.Options(url)
	must(t, err)
	rdb := redis.NewUniversalClient(opts)
	templates, err := blueprint.Embedded(log)
	must(t, err)
	registry := prometheus.NewRegistry()
	events := eventlog.New(rdb, eventlog.Config{Registry: registry})
	sessions := session.New(session.Config{}, session.Deps{
		Log: events, Templates: templates, Projects: project.NewRedis(rdb), Emitter: events,
		Now: time.Now, NewID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) }, Logger: log, Metrics: registry,
	})
	api := httpapi.New(cfg, httpapi.Deps{Sessions: sessions, Templates: templates, Logger: log, Metrics: registry})
	app := fiber.New(api.AppConfig())

	api.Mount(app)
	app.Get("/api/v1/test-panic", func(*fiber.Ctx) error { panic("secret of /etc/passwd") }) // behind the guard of the API
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.url = "http://" + listener.Addr().String()

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = sessions.Run(ctx) })
	running.Go(func() { _ = app.Listener(listener) })
	t.Cleanup(func() {
		_ = app.ShutdownWithTimeout(time.Second)
		_ = listener.Close()
		cancel()
		running.Wait()
		_ = rdb.Close()
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reply is an answer, with its body both as text and decoded.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// at follows the keys into the decoded body: at("graph", "roots", 0, "name").
func (r reply) at(path ...any) any {
	var v any = r.body
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

func (r reply) str(path ...any) string { s, _ := r.at(path...).(string); return s }

func (r reply) num(path ...any) int { n, _ := r.at(path...).(float64); return int(n) }

func (r reply) code() string { return r.str("error", "code") }

// client keeps its connections to itself, so that no test waits for another's.
func client(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// send makes a request. A body that is no text is sent as JSON; headers come in pairs.
func (s *server) send(t testing.TB, method, path string, body any, headers ...string) reply {
	t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		must(t, err)
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, reader)
	must(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client(t).Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &r.body); err != nil {
			t.Fatalf("%s %s: %v in %.300s", method, path, err, text)
		}
	}
	return r
}

// want makes a request that must be answered with status.
func (s *server) want(t testing.TB, status int, method, path string, body any, headers ...string) reply {
	t.Helper()
	r := s.send(t, method, path, body, headers...)
	if r.status != status {
		t.Fatalf("%s %s: got %d, want %d: %.600s\nlog: %s", method, path, r.status, status, r.text, s.log)
	}
	return r
}

type object = map[string]any

// plan is a session with a project of the generic tree.
type plan struct {
	*server
	id, project, root string
}

func newPlan(t testing.TB, s *server) plan {
	t.Helper()
	r := s.want(t, 201, "POST", "/api/v1/projects", object{"template_id": "generic-tree", "project_name": "Plan"})
	p := plan{server: s, id: r.str("session_id"), project: r.str("project_id"), root: r.str("graph", "roots", 0, "id")}
	if p.id == "" || p.project == "" || p.root == "" {
		t.Fatalf("incomplete answer: %s", r.text)
	}
	return p
}

// command executes a command that must succeed.
func (p plan) command(t testing.TB, kind string, data object, headers ...string) reply {
	t.Helper()
	return p.want(t, 200, "POST", "/api/v1/commands/execute",
		object{"session_id": p.id, "command_type": kind, "data": data}, headers...)
}

// item creates an item under a parent and returns its id.
func (p plan) item(t testing.TB, parent, name string) string {
	t.Helper()
	return p.command(t, "CreateNode", object{"blueprint_type_id": "tree_item", "parent_id": parent, "name": name}).str("node_id")
}

// path is a path below the session.
func (p plan) path(rest string) string { return "/api/v1/sessions/" + p.id + rest }

// state is everything of the session that a command may change, as one text.
func (p plan) state(t testing.TB) string {
	t.Helper()
	info := p.want(t, 200, "GET", p.path("/info"), nil)
	delete(info.body, "last_activity")
	text, err := json.Marshal(info.body)
	must(t, err)
	return string(text) + p.want(t, 200, "GET", p.path("/graph"), nil).text
}
