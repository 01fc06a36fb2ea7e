package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// measure registers the counts that the sockets, the feed and the sessions of Engine.IO keep themselves.
func (e *Edge) measure() {
	counter := counters(e.registry, e.sockets.Stats)
	e.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "talus_connections", Help: "Open connections of clients."},
		func() float64 { return float64(e.sockets.Stats().Connections) }))
	e.registry.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: "talus_feed_reconnects_total", Help: "Losses of the connection to Redis that hears the channels."},
		func() float64 { return float64(e.feed.Reconnects()) }))
	counter("talus_connections_opened_total", "Requests that became connections of clients.", func(s socket.Stats) uint64 { return s.Opened })
	counter("talus_messages_received_total", "Text messages of clients.", func(s socket.Stats) uint64 { return s.Messages })
	counter("talus_pings_total", "Pings and beats sent on idle connections.", func(s socket.Stats) uint64 { return s.Pings })
	counter("talus_refills_total", "Subscriptions that fell off their room's ring.", func(s socket.Stats) uint64 { return s.Refills })
	counter("talus_slow_closes_total", "Clients closed because they did not keep up.", func(s socket.Stats) uint64 { return s.Slow })
	counter("talus_silent_closes_total", "Clients closed because they did not answer.", func(s socket.Stats) uint64 { return s.Silent })
	counter("talus_protocol_violations_total", "Clients closed because they broke RFC 6455.", func(s socket.Stats) uint64 { return s.Violations })
	counter("talus_control_overflows_total", "Clients closed because of a full control queue.", func(s socket.Stats) uint64 { return s.Overflows })
	e.measureSessions()
}

// measureSessions registers the counts of Engine.IO.
func (e *Edge) measureSessions() {
	counter := counters(e.registry, e.polls.Stats)
	e.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "talus_engineio_sessions", Help: "Open sessions of Engine.IO."},
		func() float64 { return float64(e.polls.Stats().Sessions) }))
	counter("talus_engineio_sessions_opened_total", "Sessions of Engine.IO that began.", func(s engineio.Stats) uint64 { return s.Opened })
	counter("talus_engineio_upgrades_total", "Sessions that went from polling to a WebSocket.", func(s engineio.Stats) uint64 { return s.Upgraded })
	counter("talus_engineio_polls_total", "GETs of sessions.", func(s engineio.Stats) uint64 { return s.Polls })
	counter("talus_engineio_posts_total", "POSTs of sessions.", func(s engineio.Stats) uint64 { return s.Posts })
	counter("talus_engineio_errors_total", "Requests of Engine.IO that were answered with an error.", func(s engineio.Stats) uint64 { return s.Refused })
	counter("talus_engineio_violations_total", "Sessions ended because the client broke the protocol.", func(s engineio.Stats) uint64 { return s.Violations })
	counter("talus_engineio_silent_closes_total", "Sessions ended because no pong came.", func(s engineio.Stats) uint64 { return s.Silent })
}

// counters returns a function that registers one of the counts that somebody keeps.
func counters[S any](registry prometheus.Registerer, kept func() S) func(name, help string, value func(S) uint64) {
	return func(name, help string, value func(S) uint64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(kept())) }))
	}
}
