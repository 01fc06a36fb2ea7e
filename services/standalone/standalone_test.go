package standalone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/standalone"
)

func TestRestAndSocketsMeetOnOneListener(t *testing.T) {
	t.Parallel()
	i := start(t, nil)
	session, _ := i.creates("Harbour")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn := i.joins(ctx, session)

	code, answer := i.call(http.MethodPost, "/api/v1/sessions/"+session+"/undo", "")

	if code != http.StatusOK {
		t.Fatalf("undo: %d %s", code, answer)
	}
	created := i.renames(session)
	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(frame, []byte(`"type":"commit"`)) && bytes.Contains(frame, []byte(created)) {
			return
		}
	}
}

func TestAStopSendsClientsAwayAndEndsWithinTheDrainTime(t *testing.T) {
	t.Parallel()
	i := start(t, map[string]string{"TALUS_DRAIN": "5s"})
	session, _ := i.creates("Harbour")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn := i.joins(ctx, session)
	left := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, _, err = conn.Read(ctx)
		}
		left <- err
	}()

	began := time.Now()
	err := i.stop()

	if took := time.Since(began); err != nil || took > 7*time.Second {
		t.Errorf("stopped after %v, %v", took, err)
	}
	var end websocket.CloseError
	var when struct {
		After int `json:"retry_after_ms"`
	}
	if err := <-left; !errors.As(err, &end) || end.Code != websocket.StatusServiceRestart {
		t.Fatalf("the client was told %v", err)
	}
	if err := json.Unmarshal([]byte(end.Reason), &when); err != nil || when.After < 2000 || when.After > 3000 {
		t.Errorf("told to come back by %q, want two to three seconds for the restart", end.Reason)
	}
}

func TestACommandOverTheSocketNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	i := start(t, map[string]string{"TALUS_COMMAND_URL": "http://127.0.0.1:1"})
	session, _ := i.creates("Harbour")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn := i.joins(ctx, session)

	err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"command","id":1,"session_id":"`+session+
		`","command_type":"CreateNode","data":{"blueprint_type_id":"epic","name":"Port"}}`))
	if err != nil {
		t.Fatal(err)
	}

	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(frame, []byte(`{"type":"result","id":1,"http_status":200,"body":{"success":true,`)) {
			return
		}
	}
}

func TestAConnectionThatWasOpenedInAdvanceDoesNotHoldUpAStop(t *testing.T) {
	t.Parallel()
	i := start(t, map[string]string{"TALUS_DRAIN": "3s"})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(i.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	i.creates("a project") // on a connection that is accepted after the first

	if err := i.stop(); err != nil {
		t.Error(err)
	}
}

func TestSavedProjectsOutliveTheProcessAndUnsavedSessionsDoNot(t *testing.T) {
	t.Parallel()
	file := map[string]string{"TALUS_PROJECTS_URL": "sqlite:" + filepath.Join(t.TempDir(), "kept.db")}
	first := start(t, file)
	session, project := first.creates("Kept")
	if code, body := first.call(http.MethodPost, "/api/v1/sessions/"+session+"/save", ""); code != http.StatusOK {
		t.Fatalf("save: %d %s", code, body)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}

	second := start(t, file)

	if code, body := second.call(http.MethodPost, "/api/v1/projects/"+project+"/load", "{}"); code != http.StatusOK || !bytes.Contains(body, []byte("Kept")) {
		t.Errorf("load: %d %s", code, body)
	}
	if code, _ := second.call(http.MethodGet, "/api/v1/sessions/"+session+"/info", ""); code != http.StatusNotFound {
		t.Errorf("the unsaved session answers %d", code)
	}
}

func TestARealRedisKeepsSessionsOverARestart(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"TALUS_REDIS_URL": redistest.URL(t)}
	first := start(t, settings)
	session, _ := first.creates("Kept")
	if !strings.Contains(first.out, "outlive this process") {
		t.Errorf("the welcome says:\n%s", first.out)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}

	second := start(t, settings)

	if code, body := second.call(http.MethodGet, "/api/v1/sessions/"+session+"/info", ""); code != http.StatusOK {
		t.Fatalf("got %d %s", code, body)
	}
}

func TestTheWelcomeSaysWhereItListensAndWhatEnds(t *testing.T) {
	t.Parallel()
	i := start(t, nil)
	for _, want := range []string{"Talus listens on " + i.url, "/ws", "/sse", "curl -s " + i.url + "/api/v1/templates", "end with it"} {
		if !strings.Contains(i.out, want) {
			t.Errorf("%q is missing in:\n%s", want, i.out)
		}
	}
}

func TestBothServicesMetricsAreServed(t *testing.T) {
	t.Parallel()
	i := start(t, nil)
	i.creates("Counted")

	code, body := i.call(http.MethodGet, "/metrics", "")

	for _, want := range []string{"go_goroutines", "talus_"} {
		if code != http.StatusOK || !bytes.Contains(body, []byte(want)) {
			t.Errorf("%d: %s is missing", code, want)
		}
	}
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	t.Parallel()
	i := start(t, nil)
	cfg, err := standalone.ConfigFrom(func(name string) string {
		return map[string]string{"TALUS_ADDR": strings.TrimPrefix(i.url, "http://"), "TALUS_PROJECTS_URL": "sqlite:" + filepath.Join(t.TempDir(), "x.db")}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := standalone.New(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("got %v", err)
	}
}

func TestSettingsOfBothServicesAreCheckedTogether(t *testing.T) {
	t.Parallel()
	_, err := standalone.ConfigFrom(func(name string) string {
		return map[string]string{"TALUS_ADDR": "8080", "TALUS_REDIS_URL": "http://x", "TALUS_PROJECTS_URL": "nowhere", "TALUS_UNDO_DEPTH": "none"}[name]
	})
	for _, name := range []string{"TALUS_ADDR", "TALUS_REDIS_URL", "TALUS_PROJECTS_URL", "TALUS_UNDO_DEPTH"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}
