package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge"
)

func TestADrainingEdgeTellsClientsWhenToComeBack(t *testing.T) {
	t.Parallel()
	e, stop := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := plan.dial(e, "")
	read(t, ann)
	plan.commits(5)
	ended := make(chan error, 1)
	go func() {
		for range 5 {
			if _, _, err := ann.Read(context.Background()); err != nil {
				ended <- err
				return
			}
		}
		_, _, err := ann.Read(context.Background())
		ended <- err
	}()

	stop()

	err := <-ended
	var closing websocket.CloseError
	if !errors.As(err, &closing) || closing.Code != wire.CloseRestart {
		t.Fatalf("ended with %v", err)
	}
	var reason struct {
		After int `json:"retry_after_ms"`
	}
	if err := json.Unmarshal([]byte(closing.Reason), &reason); err != nil || reason.After < 0 || reason.After > 1000 {
		t.Errorf("reason %q (%v)", closing.Reason, err)
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(e.URL(), "http://"), time.Second); err == nil {
		t.Error("the listener is still open")
	}
	if n, err := plan.log.Clients(t.Context(), plan.id); err != nil || n[plan.id] != 0 {
		t.Errorf("%d clients are counted after the end (%v)", n[plan.id], err)
	}
}

func TestRunLeavesNoGoroutine(t *testing.T) { // not parallel: it counts goroutines
	url := redistest.URL(t)
	plan := creates(t, url)
	before := runtime.NumGoroutine()
	for range 3 {
		e, stop := serve(t, edge.Config{RedisURL: url})
		var people []*websocket.Conn
		for range 10 {
			people = append(people, plan.dial(e, ""))
			read(t, people[len(people)-1])
		}
		plan.commits(10)
		stop()
		for _, conn := range people {
			_ = conn.CloseNow()
		}
		http.DefaultClient.CloseIdleConnections()
	}

	// fasthttp leaves one sleeping goroutine per server for up to 10 s, and one for the Date header for ever.
	eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+4 })
}

func TestWhatAnEdgeAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Origins: []string{"https://talus.example"}})
	plan := creates(t, redistest.URL(t))
	read(t, plan.dial(e, ""))
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/livez", 200, `"ok"`},
		{"/readyz", 200, `"redis":"ok"`},
		{"/api/v1/health", 200, `{"status":"ok"}`},
		{"/metrics", 200, "talus_connections 1"},
		{"/metrics", 200, `talus_joins_total{result="live"} 1`},
		{"/nowhere", 404, `"code":"NOT_FOUND"`},
		{"/ws", 426, `"code":"INVALID_REQUEST"`},
	} {
		if status, body := get(t, e.URL()+c.path); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %.300s, want %d with %s", c.path, status, body, c.status, c.want)
		}
	}
}

func TestAnEdgeMayBeMountedOnAnotherApplication(t *testing.T) {
	t.Parallel()
	e, err := edge.New(edge.Config{RedisURL: redistest.URL(t), Origins: []string{"*"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	e.Prepare(app)
	e.Mount(app)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- e.Run(ctx) }()
	go func() { done <- app.Listener(listener) }()

	conn, _, err := websocket.Dial(t.Context(), "ws://"+listener.Addr().String()+"/ws?session_id="+uuid.NewString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, m := read(t, conn); m.Type != "error" {
		t.Errorf("got %s", text)
	}
	if e.URL() != "" {
		t.Errorf("URL %q without a listener", e.URL())
	}
	cancel()
	err = <-done
	if err := errors.Join(err, app.Shutdown(), <-done); err != nil {
		t.Error(err)
	}
}
