package standalone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/services/standalone"
)

// instance is a running process-in-a-test.
type instance struct {
	t    *testing.T
	url  string
	out  string // what it printed as a welcome
	stop func() error
}

// start runs standalone with the given settings until the test ends or stop is called.
func start(t *testing.T, settings map[string]string) *instance {
	t.Helper()
	values := map[string]string{"TALUS_ADDR": "127.0.0.1:0", "TALUS_PROJECTS_URL": "sqlite:" + filepath.Join(t.TempDir(), "talus.db"), "TALUS_DRAIN": "2s"}
	for name, value := range settings {
		values[name] = value
	}
	cfg, err := standalone.ConfigFrom(func(name string) string { return values[name] })
	if err != nil {
		t.Fatal(err)
	}
	service, err := standalone.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := service.Welcome(&out); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- service.Run(ctx) }()
	i := &instance{t: t, url: service.URL(), out: out.String()}
	stopped := false
	i.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-result
	}
	t.Cleanup(func() {
		if err := i.stop(); err != nil {
			t.Error(err)
		}
	})
	i.awaitReady()
	return i
}

func (i *instance) awaitReady() {
	i.t.Helper()
	deadline := time.After(20 * time.Second)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if code, _ := i.call(http.MethodGet, "/readyz", ""); code == http.StatusOK {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			i.t.Fatal("not ready within 20 s")
		}
	}
}

// call sends one request on a connection of its own and returns the status, 0 without an answer, and the body.
func (i *instance) call(method, path, body string) (int, []byte) {
	i.t.Helper()
	req, err := http.NewRequestWithContext(i.t.Context(), method, i.url+path, strings.NewReader(body))
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// creates makes a project and returns its session and project.
func (i *instance) creates(name string) (session, project string) {
	i.t.Helper()
	code, body := i.call(http.MethodPost, "/api/v1/projects", `{"template_id":"software-project","project_name":"`+name+`"}`)
	var made struct {
		SessionID string `json:"session_id"`
		ProjectID string `json:"project_id"`
	}
	if err := json.Unmarshal(body, &made); code != http.StatusCreated || err != nil {
		i.t.Fatalf("create: %d %v %s", code, err, body)
	}
	return made.SessionID, made.ProjectID
}

// joins opens a socket on a session and reads the first frame.
func (i *instance) joins(ctx context.Context, session string) *websocket.Conn {
	i.t.Helper()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(i.url, "http")+"/ws?session_id="+session, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = conn.CloseNow() })
	if _, joined, err := conn.Read(ctx); err != nil || !bytes.Contains(joined, []byte(`"joined"`)) {
		i.t.Fatalf("got %s, %v", joined, err)
	}
	return conn
}

// renames sets the root's name in a session and returns the new name.
func (i *instance) renames(session string) string {
	i.t.Helper()
	_, body := i.call(http.MethodGet, "/api/v1/sessions/"+session+"/graph", "")
	var got struct {
		Graph struct {
			Roots []struct {
				ID string `json:"id"`
			} `json:"roots"`
		} `json:"graph"`
	}
	if err := json.Unmarshal(body, &got); err != nil || len(got.Graph.Roots) == 0 {
		i.t.Fatalf("graph: %v %s", err, body)
	}
	const name = "Breakwater"
	code, answer := i.call(http.MethodPost, "/api/v1/commands/execute", `{"session_id":"`+session+`","command_type":"UpdateProperty",`+
		`"data":{"node_id":"`+got.Graph.Roots[0].ID+`","property_id":"name","new_value":"`+name+`"}}`)
	if code != http.StatusOK {
		i.t.Fatalf("rename: %d %s", code, answer)
	}
	return name
}
