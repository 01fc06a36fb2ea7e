package hub

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
)

// metrics are the hub's counters. Every drop, gap, repair and resync has one.
type metrics struct {
	rooms         prometheus.Gauge
	subscriptions prometheus.Gauge
	records       *prometheus.CounterVec // by from: channel, log
	events        prometheus.Counter
	dropped       *prometheus.CounterVec // by reason
	duplicates    prometheus.Counter
	gaps          prometheus.Counter
	reads         prometheus.Counter
	repairs       *prometheus.CounterVec // by result
	resyncs       *prometheus.CounterVec // by reason
	joins         *prometheus.CounterVec // by result
	joinWait      prometheus.Histogram
	headChecks    *prometheus.CounterVec // by result
	chunks        prometheus.Counter
	stale         prometheus.Gauge
	lost          prometheus.Counter
	lag           prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	by := func(label, name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	seconds := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		})
		reg.MustRegister(h)
		return h
	}
	return &metrics{
		rooms:         gauge("talus_rooms", "Sessions that this edge listens to."),
		subscriptions: gauge("talus_subscriptions", "Clients in rooms."),
		records:       by("from", "talus_records_total", "Commits taken into a room, from the channel or the log."),
		events:        counter("talus_ephemeral_events_total", "Events without a version handed to rooms."),
		dropped:       by("reason", "talus_dropped_messages_total", "Channel messages and log entries not used."),
		duplicates:    counter("talus_duplicate_records_total", "Commits heard again."),
		gaps:          counter("talus_gaps_total", "Commits that did not follow the room's head."),
		reads:         counter("talus_log_reads_total", "Reads of a session's log by rooms."),
		repairs:       by("result", "talus_repairs_total", "Reads of the log behind a room's head, by what they found."),
		resyncs:       by("reason", "talus_resyncs_total", "Clients told to fetch the graph."),
		joins:         by("result", "talus_joins_total", "Joins, by their answer."),
		joinWait:      seconds("talus_join_wait_seconds", "Time from a join to its answer."),
		headChecks:    by("result", "talus_head_checks_total", "Heads compared with the log."),
		chunks:        counter("talus_backfill_reads_total", "Reads of old commits for clients below the ring."),
		stale:         gauge("talus_stale_rooms", "Sessions whose log cannot be read now."),
		lost:          counter("talus_sessions_lost_total", "Watched sessions whose data were lost or contradict themselves."),
		lag:           seconds("talus_delivery_lag_seconds", "Time from a commit's timestamp to its fan-out."),
	}
}

// record counts a commit that a room has taken.
func (m *metrics) record(rec wire.Record, from string) {
	m.records.WithLabelValues(from).Inc()
	m.lag.Observe(max(0, time.Since(time.UnixMilli(rec.Time)).Seconds()))
}

// joined counts a join by its answer.
func (m *metrics) joined(a After, reason Reason) {
	switch {
	case reason != "":
		m.joins.WithLabelValues("resync").Inc()
		m.resyncs.WithLabelValues(string(reason)).Inc()
	case a.Given:
		m.joins.WithLabelValues("resumed").Inc()
	default:
		m.joins.WithLabelValues("live").Inc()
	}
}
