package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// probeTimeout bounds the checks of one readiness answer: an orchestrator asks every few seconds and gives up soon.
const probeTimeout = 2 * time.Second

// ErrDraining is the reason why a draining process is not ready.
var ErrDraining = errors.New("telemetry: draining")

// Check is one condition of readiness.
type Check struct {
	Name  string                      // short, shown in the answer, such as "redis"
	Probe func(context.Context) error // nil result: holds; bounded by two seconds
}

// Health answers whether a process lives and whether it should get traffic. Liveness needs nothing but the process
// itself: a dependency that is away must not get it killed. Readiness needs every check to hold and no drain. It is
// safe for concurrent use.
type Health struct {
	log      *slog.Logger
	checks   []Check
	draining atomic.Bool
	failing  sync.Map // name of a check that did not hold when last looked at → struct{}; only for logging changes
}

// NewHealth returns the health of a process that is ready while all checks hold. A check that begins or ceases to hold
// is logged once.
func NewHealth(log *slog.Logger, checks ...Check) *Health {
	return &Health{log: log, checks: checks}
}

// Drain makes the process not ready from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Draining reports whether Drain was called.
func (h *Health) Draining() bool { return h.draining.Load() }

// Ready runs all checks side by side and returns their errors joined, or ErrDraining without running any.
func (h *Health) Ready(ctx context.Context) error {
	errs, err := h.run(ctx)
	if err != nil {
		return err
	}
	return errors.Join(errs...)
}

// run returns one error or nil per check.
func (h *Health) run(ctx context.Context) ([]error, error) {
	if h.Draining() {
		return nil, ErrDraining
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	errs := make([]error, len(h.checks))
	var wg sync.WaitGroup
	for i, check := range h.checks {
		wg.Go(func() {
			if err := check.Probe(ctx); err != nil {
				errs[i] = fmt.Errorf("%s: %w", check.Name, err)
			}
		})
	}
	wg.Wait()
	for i, check := range h.checks {
		h.note(check.Name, errs[i])
	}
	return errs, nil
}

// note logs a check that changed sides.
func (h *Health) note(name string, err error) {
	if err == nil {
		if _, was := h.failing.LoadAndDelete(name); was {
			h.log.Info("check holds again", "check", name)
		}
		return
	}
	if _, was := h.failing.LoadOrStore(name, struct{}{}); !was {
		h.log.Warn("check does not hold", "check", name, "err", err)
	}
}

// report is the body of a health answer. It names the checks, never the reasons: those are in the log.
type report struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
}

// Livez answers 200 for as long as the process can answer at all.
func (h *Health) Livez() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeReport(w, http.StatusOK, report{Status: "ok"})
	})
}

// Readyz answers 200 when the process is ready, else 503 with the names of the checks that do not hold. The checks are
// bounded by their own time, not by the request: fasthttp's request context must not be waited on while its server shuts
// down (RequestCtx.Done reads what Server.Shutdown writes).
func (h *Health) Readyz() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		errs, err := h.run(context.WithoutCancel(req.Context()))
		if err != nil {
			writeReport(w, http.StatusServiceUnavailable, report{Status: "draining"})
			return
		}
		status, body := http.StatusOK, report{Status: "ok", Checks: map[string]string{}}
		for i, check := range h.checks {
			body.Checks[check.Name] = "ok"
			if errs[i] != nil {
				body.Checks[check.Name] = "failed"
				status, body.Status = http.StatusServiceUnavailable, "unavailable"
			}
		}
		writeReport(w, status, body)
	})
}

func writeReport(w http.ResponseWriter, status int, body report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the asker may be gone; there is nobody else to tell
}
