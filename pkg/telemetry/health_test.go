package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/telemetry"
)

// get asks handler once.
func get(t *testing.T, handler http.Handler) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	return rec.Code, strings.TrimSpace(rec.Body.String())
}

// gate is a check that holds or not, as told.
type gate struct{ shut atomic.Bool }

func (g *gate) check(context.Context) error {
	if g.shut.Load() {
		return errors.New("dial tcp 10.0.0.1:6379: refused")
	}
	return nil
}

func TestLivenessDoesNotDependOnReadiness(t *testing.T) {
	t.Parallel()
	redis := &gate{}
	h := telemetry.NewHealth(slog.New(slog.DiscardHandler), telemetry.Check{Name: "redis", Probe: redis.check})
	redis.shut.Store(true)
	h.Drain()

	code, body := get(t, h.Livez())

	if code != http.StatusOK || body != `{"status":"ok"}` {
		t.Fatalf("got %d %s", code, body)
	}
}

func TestReadinessFollowsItsChecksAndHidesTheReasons(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	redis := &gate{}
	h := telemetry.NewHealth(slog.New(slog.NewTextHandler(&log, nil)), telemetry.Check{Name: "redis", Probe: redis.check})

	if code, body := get(t, h.Readyz()); code != http.StatusOK || body != `{"status":"ok","checks":{"redis":"ok"}}` {
		t.Fatalf("got %d %s", code, body)
	}
	redis.shut.Store(true)
	for range 3 {
		if code, body := get(t, h.Readyz()); code != http.StatusServiceUnavailable || body != `{"status":"unavailable","checks":{"redis":"failed"}}` {
			t.Fatalf("got %d %s", code, body)
		}
	}
	if err := h.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "redis: dial tcp") {
		t.Fatalf("got %v", err)
	}
	redis.shut.Store(false)
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "does not hold") != 1 || strings.Count(got, "holds again") != 1 {
		t.Fatalf("want each change logged once, got:\n%s", got)
	}
}

func TestADrainingProcessIsNotReady(t *testing.T) {
	t.Parallel()
	h := telemetry.NewHealth(slog.New(slog.DiscardHandler))
	h.Drain()

	code, body := get(t, h.Readyz())

	if code != http.StatusServiceUnavailable || body != `{"status":"draining"}` || !h.Draining() {
		t.Fatalf("got %d %s", code, body)
	}
	if err := h.Ready(t.Context()); !errors.Is(err, telemetry.ErrDraining) {
		t.Fatalf("got %v", err)
	}
}

func TestACheckThatHangsIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		h := telemetry.NewHealth(slog.New(slog.DiscardHandler), telemetry.Check{Name: "slow", Probe: hang})

		err := h.Ready(t.Context())

		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestMetricsAreServedWithTheRuntimesOwn(t *testing.T) {
	t.Parallel()
	reg := telemetry.NewRegistry()
	sent := prometheus.NewCounter(prometheus.CounterOpts{Name: "talus_frames_sent_total", Help: "Frames sent."})
	reg.MustRegister(sent)
	sent.Add(3)

	code, body := get(t, telemetry.MetricsHandler(reg))

	for _, want := range []string{"talus_frames_sent_total 3", "go_goroutines", "process_open_fds"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %d %s", want, code, body)
		}
	}
}

// shutting is the context of a request whose server shuts down: fasthttp writes what Done reads.
type shutting struct {
	context.Context

	asked atomic.Int32
}

func (s *shutting) Done() <-chan struct{} {
	s.asked.Add(1)
	return nil
}

func TestReadinessDoesNotWaitOnTheRequestWhoseServerShutsDown(t *testing.T) {
	t.Parallel()
	ctx := &shutting{Context: t.Context()}
	health := telemetry.NewHealth(slog.New(slog.DiscardHandler), telemetry.Check{Name: "redis", Probe: (&gate{}).check})

	health.Readyz().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))

	if n := ctx.asked.Load(); n > 0 {
		t.Errorf("the request's context was asked for its end %d times", n)
	}
}
