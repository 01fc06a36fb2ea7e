// Package graphio is the Socket.IO namespace /graph (api.md, part 10): it joins its peers to the rooms of sessions, in
// either dialect, and carries their commands to the command service.
//
// It promises: a peer is told who it is before any event of a session; what a room sends passes through as finished
// frames, the same for all peers of a dialect; peers that cannot be served now, or that are behind a hole, lose their
// transport, never their namespace, because clients come back from the first by themselves and from the second never. A
// client that came back reads the graph anew, unless it has asked for recovery and is told that it has recovered: then it
// has got every event, each once.
//
// Recovery (auth {recover:true}) needs nothing of the edge that the peer was on. What it was is in a signed token, the pid;
// how far it had come is in the offset of the last event it received; and the rest is in the log. A peer that recovers is
// joined as any other is, so all that a join checks is checked.
//
// It has no goroutines: it runs on those of the sockets, the rooms and the command service's workers.
package graphio

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// Hub has the rooms that peers join; *hub.Hub is one.
type Hub interface {
	Join(session uuid.UUID, after hub.After, format hub.Format, client hub.Client) *hub.Subscription
}

// Config is what the namespace works with.
type Config struct {
	Hub      Hub
	Commands *commands.Service
	Key      func() []byte // signs tokens; the same on all edges
	Problem  func(code wire.Code, message string) []byte

	Sessions   int                 // joined by one peer at a time, at most socket.MaxSlots
	Joins      rate.Limit          // of one peer; who passes it loses its transport
	JoinWithin time.Duration       // after CONNECT; who has not joined a session by then loses its transport; 0: no limit
	Refused    func(reason string) // called with "sessions", "join_rate", "join_deadline" or "draining"; must not block; may be nil
}

// Namespace is a socketio.Namespace.
type Namespace struct {
	cfg      Config
	joins    *rate.Limiter
	draining atomic.Bool
	log      *slog.Logger
	metrics  metrics
}

// New returns the namespace. The metrics are registered with reg.
func New(cfg Config, reg prometheus.Registerer, log *slog.Logger) *Namespace {
	cfg.Sessions = min(cfg.Sessions, socket.MaxSlots)
	if cfg.Refused == nil {
		cfg.Refused = func(string) {}
	}
	return &Namespace{cfg: cfg, joins: rate.New(cfg.Joins), log: log, metrics: newMetrics(reg)}
}

// Drain sends away everybody who connects or joins from now on: the instance is stopping.
func (n *Namespace) Drain() { n.draining.Store(true) }

// Connect implements socketio.Namespace.
func (n *Namespace) Connect(s *socketio.Socket, text []byte) socketio.Client {
	c := &client{namespace: n, socket: s, conn: s.Session().Conn(), id: newID()}
	a, err := parseAuth(text)
	switch {
	case n.draining.Load():
		n.cfg.Refused("draining")
		c.sendAway()
	case err != nil:
		s.Refuse(err.Error(), nil)
	default:
		c.connect(a)
	}
	return c
}

// Attachments implements socketio.Namespace: no event here has any.
func (n *Namespace) Attachments() int { return 0 }

// newID is a UUIDv7; should the system have no randomness left, one without.
func newID() uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.UUID{}
	}
	return id
}

// formatOf is how a room writes for a peer.
func formatOf(d graphevent.Dialect, offsets bool) hub.Format {
	switch {
	case d == graphevent.Planned && offsets:
		return hub.PlannedOffsets
	case d == graphevent.Planned:
		return hub.Planned
	case offsets:
		return hub.ShippedOffsets
	default:
		return hub.Shipped
	}
}

// metrics count what peers ask for.
type metrics struct {
	connects   *prometheus.CounterVec // by dialect
	events     *prometheus.CounterVec // by event
	errors     *prometheus.CounterVec // by code
	recoveries *prometheus.CounterVec // by result
}

func newMetrics(reg prometheus.Registerer) metrics {
	by := func(label, name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		reg.MustRegister(c)
		return c
	}
	return metrics{
		connects:   by("dialect", "talus_graph_connects_total", "Socket.IO clients that connected to the namespace, by dialect."),
		events:     by("event", "talus_graph_events_total", "Events of Socket.IO clients."),
		errors:     by("code", "talus_graph_errors_total", "Errors told to Socket.IO clients."),
		recoveries: by("result", "talus_graph_recoveries_total", "Socket.IO clients that came back and asked for what they had missed."),
	}
}
