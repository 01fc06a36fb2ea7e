package hub_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// world is a hub over a fake log.
type world struct {
	*redis
	*hub.Hub
	registry *prometheus.Registry
}

// start runs a hub; the returned function ends it and all of the fake's goroutines,
// as a synctest bubble requires.
func start(t *testing.T, cfg hub.Config) (*world, func()) {
	t.Helper()
	w := &world{redis: newRedis(), registry: prometheus.NewRegistry()}
	log := slog.New(slog.DiscardHandler)
	w.Hub = hub.New(cfg, w.redis, func(h *hub.Hub) hub.Feed {
		w.redis.hub = h
		return w.redis
	}, w.registry, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, func() {
		w.set(func(f *redis) { f.ended = true })
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		w.work.Wait()
	}
}

// metric sums a counter over its labels, or those of one label value.
func (w *world) metric(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
