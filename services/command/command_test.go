package command_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/services/command"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// running is an instance in operation.
type running struct {
	*command.Command
	redis *miniredis.Miniredis
	stop  func() error // ends it and returns what Run returned
}

func run(t *testing.T, cfg command.Config) running {
	t.Helper()
	redis := miniredis.RunT(t)
	cfg.RedisURL = "redis://" + redis.Addr()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	service, err := command.New(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	var result error
	var stopped bool
	stop := func() error {
		if !stopped {
			stopped = true
			cancel()
			result = <-ended
		}
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return running{Command: service, redis: redis, stop: stop}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAnInstanceServesTheAPIItsHealthAndItsMetrics(t *testing.T) {
	t.Parallel()
	s := run(t, command.Config{})
	for _, c := range []struct{ path, want string }{
		{"/livez", `"ok"`}, {"/readyz", `"ok"`}, {"/api/v1/health", `{"status":"ok"}`}, {"/api/v1/templates", `"generic-tree"`},
		{"/metrics", `talus_http_request_seconds_count{method="GET",route="/api/v1/health",status="200"} 1`},
	} {
		if status, body := get(t, s.URL()+c.path); status != 200 || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", c.path, status, body)
		}
	}
	if status, body := get(t, s.URL()+"/nothing"); status != 404 || !strings.Contains(body, "NOT_FOUND") {
		t.Errorf("got %d %s", status, body)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestWithoutRedisAnInstanceLivesButIsNotReady(t *testing.T) {
	t.Parallel()
	s := run(t, command.Config{})
	s.redis.Close()

	ready, body := get(t, s.URL()+"/readyz")
	alive, _ := get(t, s.URL()+"/livez")

	if ready != 503 || alive != 200 || !strings.Contains(body, "redis") {
		t.Errorf("ready %d, alive %d: %s", ready, alive, body)
	}
}

func TestAStopLetsARequestInProgressEnd(t *testing.T) {
	t.Parallel()
	s := run(t, command.Config{Drain: 5 * time.Second})
	reader, writer := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/api/v1/projects", reader)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Expect", "100-continue") // the body is read by the client only when the server has read the header
	answered := make(chan error, 1)
	go func() {
		resp, err := (&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				err = errors.New(resp.Status)
			}
		}
		answered <- err
	}()
	if _, err := writer.Write([]byte(`{"template_id":"generic-tree",`)); err != nil {
		t.Fatal(err)
	}

	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	_, err = writer.Write([]byte(`"project_name":"late"}`))

	if err := errors.Join(err, writer.Close(), <-answered, <-ended); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://")); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
}

func TestConnectionsThatWereOpenedInAdvanceDoNotHoldUpAStop(t *testing.T) {
	t.Parallel()
	s := run(t, command.Config{Drain: 10 * time.Second})
	for range 8 { // as browsers and pools of connections do; nothing is ever sent on them
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	kept := &http.Client{Transport: &http.Transport{}} // its connection stays open after the answer
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := kept.Do(req) // it was accepted after the others
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()

	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestAStopThatCutsARequestOffIsAFailure(t *testing.T) {
	t.Parallel()
	s := run(t, command.Config{Drain: time.Millisecond})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // of "100 Continue": the server waits for the body
		t.Fatal(err)
	}

	if err := s.stop(); !errors.Is(err, daemon.ErrCutOff) {
		t.Errorf("stopped with %v", err)
	}
}

func TestAnInstanceWithoutAListenerIsServedByAnother(t *testing.T) {
	t.Parallel()
	redis := miniredis.RunT(t)
	service, err := command.New(command.Config{RedisURL: "redis://" + redis.Addr(), WithoutEvents: true}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	app := fiber.New(service.AppConfig())
	service.Mount(app)

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := app.Test(req, 5000)

	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusCreated || service.URL() != "" {
		t.Errorf("got %s, URL %q", resp.Status, service.URL())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestWhatCannotWorkStopsTheStart(t *testing.T) {
	t.Parallel()
	taken := run(t, command.Config{})
	dir := t.TempDir()
	for about, cfg := range map[string]command.Config{
		"the address is taken":  {Addr: strings.TrimPrefix(taken.URL(), "http://")},
		"no redis URL":          {RedisURL: "http://x"},
		"no template directory": {TemplatesDir: filepath.Join(dir, "missing")},
		"no project store":      {ProjectsURL: "tape:"},
	} {
		if s, err := command.New(cfg, quiet()); err == nil || s != nil {
			t.Errorf("%s: got %v", about, s)
		}
	}
}

func TestTemplatesComeFromTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte("name: Mine\nnode_types:\n  - {id: a, label: A}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte("name: Bad\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := run(t, command.Config{TemplatesDir: dir, ProjectsURL: "sqlite:" + filepath.Join(dir, "projects.db")})

	_, list := get(t, s.URL()+"/api/v1/templates")
	status, bad := get(t, s.URL()+"/api/v1/templates/bad/schema")

	if list != `{"templates":[{"id":"mine","name":"Mine","description":""}]}` {
		t.Errorf("got %s", list)
	}
	if status != 400 || !strings.Contains(bad, "TEMPLATE_VALIDATION_ERROR") || !strings.Contains(bad, `"details":{"file":"bad.yaml"`) || strings.Contains(bad, dir) {
		t.Errorf("got %d %s", status, bad)
	}
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"TALUS_ADDR": "127.0.0.1:0", "TALUS_REDIS_URL": "rediss://user:secret@cache:6380/2", "TALUS_TEMPLATES_DIR": "/templates",
		"TALUS_PROJECTS_URL": "sqlite:x.db", "TALUS_ALLOWED_ORIGINS": "https://a.example, https://b.example", "TALUS_LOG_RETENTION": "0",
		"TALUS_LOG_BYTES": "8MiB", "TALUS_SESSION_TTL": "7d", "TALUS_UNDO_DEPTH": "50", "TALUS_DRAIN": "3s", "TALUS_BODY_LIMIT": "1MiB", "TALUS_LOAD_LIMIT": "8MiB",
		"TALUS_JSON_DEPTH": "32", "TALUS_REQUEST_TIMEOUT": "2s",
	}

	got, err := command.ConfigFrom(func(name string) string { return env[name] })

	want := command.Config{
		Addr: "127.0.0.1:0", RedisURL: "rediss://user:secret@cache:6380/2", TemplatesDir: "/templates", ProjectsURL: "sqlite:x.db",
		LogRetention: 0, LogBytes: 8 << 20, SessionTTL: 7 * 24 * time.Hour, UndoDepth: 50, Drain: 3 * time.Second, Body: 1 << 20, LoadBody: 8 << 20,
		Depth: 32, Timeout: 2 * time.Second,
	}
	if strings.Join(got.Origins, " ") != "https://a.example https://b.example" {
		t.Errorf("origins %v", got.Origins)
	}
	got.Origins = nil
	if err != nil || got.Registry != nil || !equal(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func equal(a, b command.Config) bool {
	return a.Addr == b.Addr && a.RedisURL == b.RedisURL && a.TemplatesDir == b.TemplatesDir && a.ProjectsURL == b.ProjectsURL &&
		a.LogRetention == b.LogRetention && a.LogBytes == b.LogBytes && a.SessionTTL == b.SessionTTL && a.UndoDepth == b.UndoDepth && a.Drain == b.Drain &&
		a.Body == b.Body && a.LoadBody == b.LoadBody && a.Depth == b.Depth && a.Timeout == b.Timeout
}

func TestABadSettingIsNamedAndASecretIsNot(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"TALUS_ADDR": "8080", "TALUS_REDIS_URL": "http://user:hunter2@cache", "TALUS_PROJECTS_URL": "tape:", "TALUS_DRAIN": "soon",
	}

	_, err := command.ConfigFrom(func(name string) string { return bad[name] })

	for name := range bad {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	var wrong *config.Error
	if !errors.As(err, &wrong) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestTheDefaultsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()

	got, err := command.ConfigFrom(nil)

	if err != nil || got.Addr != ":8080" || got.RedisURL != "redis://127.0.0.1:6379/0" || got.ProjectsURL != "redis:" || got.LogRetention != 2000 ||
		got.LogBytes != 64<<20 ||
		got.SessionTTL != 24*time.Hour || got.UndoDepth != 200 || got.Drain != 10*time.Second || got.Body != 4<<20 || got.LoadBody != 64<<20 ||
		got.Depth != 64 || len(got.Origins) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}
