package e2e_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// statuses are the status frames that somebody got, in order.
func statuses(p *harness.Person) string {
	var all []string
	for _, f := range p.Others() {
		if f.Type == "status" {
			all = append(all, f.Status)
		}
	}
	return strings.Join(all, " ")
}

func isStatus(status string) func(harness.Frame) bool {
	return func(f harness.Frame) bool { return f.Type == "status" && f.Status == status }
}

// Not parallel: it counts the goroutines of the process.
func TestARedisRestartDisconnectsNobody(t *testing.T) {
	redis := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always")
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2, RedisURL: redis.URL()})
	plan := sys.NewPlan()
	var crowd []*harness.Person
	for i := range 30 {
		crowd = append(crowd, sys.JoinsVia(fmt.Sprint("person ", i), plan, sys.Edge(i%2), sys.Command(i%2)))
	}
	ann := crowd[0]
	ann.Creates("house", "plan")
	for _, p := range crowd {
		p.Sees("house")
	}
	base := runtime.NumGoroutine()

	for round := range 2 {
		redis.Kill()
		killed := time.Now()
		for _, p := range crowd {
			harness.Eventually(t, "stale", func() bool { return strings.HasSuffix(statuses(p), "stale") })
		}
		stale := time.Since(killed)
		isRefusedQuickly(t, sys, plan)
		if err := redis.Restart(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		for _, p := range crowd {
			harness.Eventually(t, "live", func() bool { return strings.HasSuffix(statuses(p), "live") })
		}
		live := time.Since(back)
		name := fmt.Sprint("roof ", round)
		harness.Eventually(t, "a command is accepted", func() bool {
			a, err := harness.Do(http.MethodPost, sys.Command(0).URL+"/api/v1/commands/execute", create(plan, name))
			return err == nil && a.Status == http.StatusOK
		})
		for _, p := range crowd {
			p.Sees(name)
		}
		t.Logf("stale %v after the kill; live %v and current %v after Redis was back", stale.Round(time.Millisecond),
			live.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
		if time.Since(back) > 10*time.Second {
			t.Error("current too late")
		}
		want := strings.TrimSpace(strings.Repeat("stale live ", round+1))
		for _, p := range crowd {
			if got := statuses(p); got != want || p.Gone() {
				t.Errorf("somebody was told %q, want %q; gone: %v", got, want, p.Gone())
			}
		}
		harness.Eventually(t, "ready", func() bool { return status(sys.Edge(0), "/readyz") == 200 && status(sys.Command(0), "/readyz") == 200 })
	}

	crowd[1].SameGraphAs(ann)
	harness.Eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= base+20 }) // pooled connections
}

// isRefusedQuickly looks at everything that is asked for while Redis is away.
func isRefusedQuickly(t *testing.T, sys *harness.System, plan *harness.Plan) {
	t.Helper()
	began := time.Now()
	for range 50 {
		a, err := harness.Do(http.MethodPost, sys.Command(0).URL+"/api/v1/commands/execute", create(plan, "never"))
		if err != nil || a.Status != http.StatusServiceUnavailable || a.Code() != "UNAVAILABLE" || a.Header.Get("Retry-After") == "" {
			t.Fatalf("command while Redis is away: %v %d %s %q", err, a.Status, a.Body, a.Header.Get("Retry-After"))
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("50 refusals took %v", took)
	}
	late := harness.Dial(t, sys.Edge(0), "")
	late.Send(`{"type":"join","id":"1","session_id":"` + plan.ID + `"}`)
	if f := late.Want("error", "1"); f.Code != "UNAVAILABLE" || !f.Retryable {
		t.Errorf("a join while Redis is away: %+v", f)
	}
	late.Send(`{"type":"ping","id":"2"}`)
	late.Want("pong", "2") // still open
	harness.Eventually(t, "not ready", func() bool { return status(sys.Edge(0), "/readyz") == 503 && status(sys.Command(0), "/readyz") == 503 })
	if status(sys.Edge(0), "/livez") != 200 || status(sys.Command(0), "/livez") != 200 {
		t.Error("liveness follows Redis")
	}
}

func status(i *harness.Instance, path string) int {
	a, err := harness.Do(http.MethodGet, i.URL+path, nil)
	if err != nil {
		return 0
	}
	return a.Status
}

// A Redis that is there but does not answer, as when its machine hangs.
func TestAPausedRedisIsAnOutageLikeAnyOther(t *testing.T) {
	t.Parallel()
	redis := redistest.Server(t)
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1, RedisURL: redis.URL()})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))

	if err := redis.Pause(); err != nil {
		t.Fatal(err)
	}
	paused := time.Now()
	ann.Gets("stale", isStatus("stale"))
	stale := time.Since(paused)
	harness.Eventually(t, "not ready", func() bool { return status(sys.Edge(0), "/readyz") == 503 })
	if err := redis.Resume(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	ann.Gets("live", isStatus("live"))
	live := time.Since(back)
	ann.Creates("house", "plan")
	ann.Sees("house")

	t.Logf("stale %v after the pause, live %v after its end", stale.Round(time.Millisecond), live.Round(time.Millisecond))
	if got := statuses(ann); got != "stale live" || live > 10*time.Second {
		t.Errorf("told %q, live after %v", got, live)
	}
}
