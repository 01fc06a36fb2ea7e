// Package native speaks the native WebSocket protocol (api.md, part 8) between
// connections and rooms: join by URL and by message, leave, ping, errors and close
// codes.
//
// It promises that every request with an id gets exactly one answer with it, that
// joined comes before any commit of its session and left after the last one, and
// that bad input ends in an error frame, or in close code 4008 when it is not even
// a JSON object. Commits and events pass through it as finished frames; it reads
// none of them. It keeps no state of a session, and it does not decide who may join.
//
// It has no goroutines: it runs on those of the sockets, the rooms and presence.
package native

import (
	"errors"
	"log/slog"
	"strconv"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// Subprotocol is the name of the protocol in the WebSocket handshake; offering it
// is optional.
const Subprotocol = "talus.v1.json"

// Hub has the rooms that clients join; *hub.Hub is one.
type Hub interface {
	Join(session uuid.UUID, after hub.After, format hub.Format, client hub.Client) *hub.Subscription
}

// Presence counts clients over all edges; *presence.Presence is one.
type Presence interface {
	Others(session uuid.UUID, then func(others int))
	Enter(session uuid.UUID) (here int)
	Leave(session uuid.UUID)
}

// Handler is the socket.Handler of the native protocol.
type Handler struct {
	hub      Hub
	presence Presence
	limit    int // sessions per connection
	log      *slog.Logger
	metrics  *metrics
}

// New returns a handler whose connections may join up to limit sessions each, at
// most socket.MaxSlots. The metrics are registered with reg.
func New(h Hub, p Presence, limit int, reg prometheus.Registerer, log *slog.Logger) *Handler {
	return &Handler{hub: h, presence: p, limit: min(limit, socket.MaxSlots), log: log, metrics: newMetrics(reg)}
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
func (m *metrics) closed(err error) {
	reason := "other"
	var closing *socket.CloseError
	switch {
	case errors.As(err, &closing):
		reason = closeLabel(closing.Code)
	case errors.Is(err, socket.ErrSlow):
		reason = "slow"
	case errors.Is(err, socket.ErrSilent):
		reason = "silent"
	case errors.Is(err, socket.ErrGone):
		reason = "gone"
	case errors.Is(err, socket.ErrOverflow):
		reason = "overflow"
	}
	m.closes.WithLabelValues(reason).Inc()
}

// closeLabel is the code as a label; codes that peers make up share one.
func closeLabel(code int) string {
	switch {
	case code >= 1000 && code <= 1015, code >= 4000 && code <= 4299:
		return strconv.Itoa(code)
	default:
		return "unknown"
	}
}

// problem is a refusal as the client sees it.
type problem struct {
	code    wire.Code
	message string
}

func noSession(session string) problem {
	return problem{wire.InvalidSession, "Session not found: " + session}
}
