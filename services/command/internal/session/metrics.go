package session

import "github.com/prometheus/client_golang/prometheus"

// metrics count what a session in memory goes through.
type metrics struct {
	loads     prometheus.Counter
	reloads   prometheus.Counter
	conflicts prometheus.Counter
	yields    prometheus.Counter
	groups    prometheus.Histogram
	refusals  prometheus.Counter
	replays   prometheus.Counter
	lostTells prometheus.Counter
	swept     prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, w *warm, g *gate) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	gauge := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("talus_warm_sessions", "Sessions in memory.", func() float64 { count, _ := w.totals(); return float64(count) })
	gauge("talus_calls", "Calls for sessions in progress.", func() float64 { return float64(g.calls.Load()) })
	gauge("talus_log_away", "1 while calls are refused because the event log does not answer.", func() float64 {
		if g.away() {
			return 1
		}
		return 0
	})
	gauge("talus_warm_bytes", "Size of the sessions in memory, as stored and rendered.", func() float64 { _, size := w.totals(); return float64(size) })
	groups := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "talus_session_group_commits", Help: "Commits per pipeline.", Buckets: []float64{0, 1, 2, 4, 8, 16, 32, maxGroup},
	})
	registry.MustRegister(groups)
	return &metrics{
		groups:    groups,
		yields:    counter("talus_session_yields_total", "Commits held back because another instance had its turn."),
		loads:     counter("talus_session_loads_total", "Sessions loaded into memory."),
		reloads:   counter("talus_session_reloads_total", "Sessions in memory that could not follow the log and were loaded again."),
		conflicts: counter("talus_session_conflicts_total", "Commits decided again because another instance came first."),
		refusals:  counter("talus_session_refusals_total", "Commands refused by the graph's rules."),
		replays:   counter("talus_session_replays_total", "Requests answered with the first answer to their key."),
		lostTells: counter("talus_session_unpublished_total", "Events without a version that could not be published."),
		swept:     counter("talus_session_removed_total", "Sessions removed because nobody used them."),
	}
}
