// Package native speaks the native WebSocket protocol (api.md, part 8) between
// connections and rooms: join by URL and by message, leave, ping, commands, errors and
// close codes.
//
// It promises that every request with an id gets exactly one answer with it, that
// joined comes before any commit of its session and left after the last one, and
// that bad input ends in an error frame, or in close code 4008 when it is not even
// a JSON object. Commits and events pass through it as finished frames; it reads
// none of them. It keeps no state of a session, and it does not decide who may join.
//
// It has no goroutines: it runs on those of the sockets, the rooms and the command
// service's workers.
package native

import (
	"log/slog"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/commands"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/rate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// Subprotocol is the name of the protocol in the WebSocket handshake; offering it
// is optional.
const Subprotocol = "talus.v1.json"

// Hub has the rooms that clients join; *hub.Hub is one.
type Hub interface {
	Join(session uuid.UUID, after hub.After, format hub.Format, client hub.Client) *hub.Subscription
}

// Handler is the socket.Handler of the native protocol.
type Handler struct {
	hub      Hub
	commands *commands.Service
	limits   Limits
	joins    *rate.Limiter // of each connection
	draining atomic.Bool
	log      *slog.Logger
	metrics  *metrics
}

// Limits bound what one connection may ask for.
type Limits struct {
	Sessions int                 // joined at a time, at most socket.MaxSlots
	Joins    rate.Limit          // a client that passes it gets RATE_LIMITED and is closed with 4101
	Refused  func(reason string) // called with "sessions", "join_rate" or "draining"; must not block; may be nil
}

// New returns a handler of connections that keep to l. The metrics are registered
// with reg.
func New(h Hub, c *commands.Service, l Limits, reg prometheus.Registerer, log *slog.Logger) *Handler {
	l.Sessions = min(l.Sessions, socket.MaxSlots)
	return &Handler{hub: h, commands: c, limits: l, joins: rate.New(l.Joins), log: log, metrics: newMetrics(reg)}
}

// Drain refuses every join from now on: the instance is stopping.
func (h *Handler) Drain() { h.draining.Store(true) }

// refused counts a refusal.
func (h *Handler) refused(reason string) {
	if h.limits.Refused != nil {
		h.limits.Refused(reason)
	}
}

// Open begins a connection and joins the session that the URL names, if any.
func (h *Handler) Open(conn *socket.Conn, o socket.Opening) socket.Client {
	c := &connection{handler: h, conn: conn, id: newClientID()}
	if o.Query.Has("session_id") {
		c.joinByURL(o.Query)
	}
	return c
}

// newClientID is a UUIDv7; should the system have no randomness left, one without.
func newClientID() uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.UUID{}
	}
	return id
}

// metrics count what clients ask for and how connections end.
type metrics struct {
	requests *prometheus.CounterVec // by type
	errors   *prometheus.CounterVec // by code
	closes   *prometheus.CounterVec // by reason
}

func newMetrics(reg prometheus.Registerer) *metrics {
	by := func(label, name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		reg.MustRegister(c)
		return c
	}
	return &metrics{
		requests: by("type", "talus_native_requests_total", "Requests of native clients."),
		errors:   by("code", "talus_native_errors_total", "Error frames sent to native clients."),
		closes:   by("reason", "talus_closes_total", "Connections that ended, by close code or cause."),
	}
}

// closed counts the end of a connection.
func (m *metrics) closed(err error) { m.closes.WithLabelValues(socket.Cause(err)).Inc() }

// problem is a refusal as the client sees it.
type problem struct {
	code    wire.Code
	message string
}

// torn is what clients are told of a session that was closed because its data contradict each other.
var torn = problem{wire.SessionDamaged, "The session is damaged and closed"}

func noSession(session string) problem {
	return problem{wire.InvalidSession, "Session not found: " + session}
}
