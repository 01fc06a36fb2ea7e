package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge"
)

func TestClientsOfTwoEdgesReceiveTheSameBytes(t *testing.T) {
	t.Parallel()
	a, _ := serve(t, edge.Config{})
	b, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	plan.commits(3)
	ann, ben := plan.dial(a, ""), plan.dial(b, plan.at.String())
	if text, m := read(t, ann); m.Type != "joined" || m.Version != 3 || m.Resumed {
		t.Fatalf("ann: %s", text)
	}
	if text, m := read(t, ben); m.Type != "joined" || !m.Resumed {
		t.Fatalf("ben: %s", text)
	}

	plan.commits(300)

	if !slices.Equal(commitsFrom(t, ann, 4, 303), commitsFrom(t, ben, 4, 303)) {
		t.Error("the two edges sent different bytes")
	}
}

// Late joiners come while commits arrive, from far below the ring.
func TestALateJoinerCatchesUpUnderLoad(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	start := plan.at
	plan.commits(1500)
	writer := make(chan error, 1)
	go func() {
		for range 500 {
			if err := plan.commit(context.Background(), 100); err != nil {
				writer <- err
				return
			}
		}
		writer <- nil
	}()

	for range 5 {
		ann := (&session{t: t, id: plan.id}).dial(e, start.String())
		if text, m := read(t, ann); m.Type != "joined" || m.Version != 0 || !m.Resumed {
			t.Fatalf("joined: %s", text)
		}
		commitsFrom(t, ann, 1, 2000)
	}
	if err := <-writer; err != nil {
		t.Error(err)
	}
}

func TestALargeCommitComesFromTheLog(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := plan.dial(e, "")
	read(t, ann)

	for _, size := range []int{100, 200_000, 100} {
		if err := plan.commit(t.Context(), size); err != nil {
			t.Fatal(err)
		}
	}
	commitsFrom(t, ann, 1, 3)
	if err := plan.commit(t.Context(), 1<<20+1); err != nil {
		t.Fatal(err)
	}

	if text, m := read(t, ann); m.Type != "resync" || m.Reason != "large" || m.Version != 4 {
		t.Errorf("got %.200s", text)
	}
	plan.commits(1)
	commitsFrom(t, ann, 5, 5)
}

func TestATrimmedLogIsAResync(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := createsWith(t, redistest.URL(t), eventlog.Config{Retention: 20, MinAge: time.Nanosecond})
	plan.commits(400)
	head, err := plan.log.Head(t.Context(), plan.id)
	if err != nil || head.Oldest < 10 {
		t.Fatalf("the log begins at %d (%v): the test shows nothing", head.Oldest, err)
	}

	near, far := plan.dial(e, strconv.FormatUint(head.Oldest-1, 10)), plan.dial(e, strconv.FormatUint(head.Oldest-2, 10))
	if text, m := read(t, near); m.Type != "joined" || !m.Resumed {
		t.Errorf("near: %s", text)
	}
	commitsFrom(t, near, head.Oldest, 400)
	if text, m := read(t, far); m.Type != "joined" || m.Resumed || m.Version != 400 {
		t.Errorf("far: %s", text)
	}
	if text, m := read(t, far); m.Type != "resync" || m.Reason != "trimmed" {
		t.Errorf("far: %s", text)
	}
}

func TestClientsSurviveARestartOfRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always")
	e, _ := serve(t, edge.Config{RedisURL: server.URL()})
	plan := creates(t, server.URL())
	ann := plan.dial(e, "")
	read(t, ann)
	plan.commits(3)

	server.Kill()
	eventually(t, "the edge is not ready", func() bool { return e.Ready(t.Context()) != nil })
	if status, _ := get(t, e.URL()+"/livez"); status != http.StatusOK {
		t.Errorf("livez %d", status)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a commit succeeds again", func() bool { return plan.commit(t.Context(), 10) == nil })
	plan.commits(3)

	commitsFrom(t, ann, 1, plan.at.Version)
}

func TestOneTornSessionDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	e, _ := serve(t, edge.Config{RedisURL: server.URL()})
	torn, plan := creates(t, server.URL()), creates(t, server.URL())
	rdb := redistest.Client(t, server.URL())
	ann := plan.dial(e, "")
	read(t, ann)
	ben := torn.dial(e, "")
	read(t, ben)
	keys, err := rdb.Keys(t.Context(), "*"+torn.id.String()+":h").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v %v", keys, err)
	}
	if err := rdb.HSet(t.Context(), keys[0], "d", "rubbish").Err(); err != nil {
		t.Fatal(err)
	}

	if text, m := read(t, ben); m.Type != "error" {
		t.Errorf("torn: %s", text)
	}
	plan.commits(2)
	commitsFrom(t, ann, 1, 2)
}

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
	if err := json.Unmarshal([]byte(closing.Reason), &reason); err != nil || reason.After <= 0 || reason.After > 1000 {
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
	for origin, want := range map[string]int{
		"https://talus.example": http.StatusSwitchingProtocols,
		e.URL():                 http.StatusSwitchingProtocols,
		"https://evil.example":  http.StatusForbidden,
	} {
		conn, res, err := websocket.Dial(t.Context(), e.URL()+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if res == nil || res.StatusCode != want {
			t.Errorf("origin %s: %v (%v), want %d", origin, res, err, want)
		}
		if err == nil {
			_ = conn.CloseNow()
		}
	}
}

func TestAFullEdgeRefusesConnections(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{Connections: 1})
	plan := creates(t, redistest.URL(t))
	read(t, plan.dial(e, ""))

	_, res, err := websocket.Dial(t.Context(), e.URL()+"/ws", nil)

	if err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("answer %v (%v)", res, err)
	}
}

func TestAnEdgeMayBeMountedOnAnotherApplication(t *testing.T) {
	t.Parallel()
	e, err := edge.New(edge.Config{RedisURL: redistest.URL(t), Origins: []string{"*"}}, slog.New(slog.NewTextHandler(io.Discard, nil)))
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
