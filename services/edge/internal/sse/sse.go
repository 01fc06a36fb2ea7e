// Package sse serves sessions as server-sent events (api.md, part 9): the frames of the native protocol, over plain
// HTTP, for clients that only listen.
//
// It promises what a native subscription promises, from the same rooms and rings: `joined` comes first and carries the
// position as the stream's id, each commit carries its own, so that a client which comes back with Last-Event-ID goes on
// without gap or repeat or is told to resync. A request that cannot be served is answered with a status and a problem
// in JSON before the stream begins; a stream that the server ends has a last event that says why. Commits pass through
// it as finished frames; it reads none of them.
//
// It has no goroutines: an open stream is a connection of the sockets, like a WebSocket, and runs on theirs and
// the rooms'.
package sse

import (
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// Hub has the rooms that clients join; *hub.Hub is one.
type Hub interface {
	Join(session uuid.UUID, after hub.After, format hub.Format, client hub.Client) *hub.Subscription
}

// Refusal is why a request is not answered with a stream. The message is for the client.
type Refusal struct {
	Code    wire.Code
	Message string
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

// Endpoint answers requests for streams.
type Endpoint struct {
	hub     Hub
	sockets *socket.Server
	problem func(Refusal) []byte
	metrics *metrics
}

// New returns an endpoint whose streams are connections of sockets. Problem makes the body of a refusal, JSON. The
// metrics are registered with reg.
func New(h Hub, sockets *socket.Server, problem func(Refusal) []byte, reg prometheus.Registerer) *Endpoint {
	return &Endpoint{hub: h, sockets: sockets, problem: problem, metrics: newMetrics(reg)}
}

// Serve is the Fiber handler. With a nil error the connection has left Fiber, and all that the handlers before this one
// have set as headers goes with its answer. Other errors than a *Refusal are those of socket.Server.Hijack.
func (e *Endpoint) Serve(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no") // nginx passes each event on at once
	if c.Method() != fiber.MethodGet {
		c.Set(fiber.HeaderAllow, "GET, OPTIONS")
		return e.refuse(&Refusal{wire.MethodNotAllowed, "streams are read with GET"})
	}
	session, err := parseSession(c.Query("session_id"))
	if err != nil {
		return e.refuse(err)
	}
	after, err := parseAfter(c)
	if err != nil {
		return e.refuse(err)
	}
	s := &stream{endpoint: e, id: clientID(), session: session, after: after, voice: &voice{endpoint: e, session: session, fields: fields(c)}}
	return e.sockets.Hijack(c, s.voice, s)
}

func (e *Endpoint) refuse(r *Refusal) error {
	e.metrics.refused(r.Code)
	return r
}

// parseSession reads a session id in the usual form of 36 characters.
func parseSession(text string) (uuid.UUID, *Refusal) {
	if text == "" {
		return uuid.Nil, &Refusal{wire.InvalidRequest, "session_id is required"}
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, &Refusal{wire.InvalidSession, "Session not found: not an id"}
	}
	return id, nil
}

// parseAfter reads where the client stands. The header goes first: a browser that comes back sends it with the URL it
// began with.
func parseAfter(c *fiber.Ctx) (hub.After, *Refusal) {
	for _, text := range []string{c.Get("Last-Event-ID"), c.Query("last_event_id"), c.Query("after")} {
		if text == "" {
			continue
		}
		after, err := hub.ParseAfter(text, c.Query("epoch"))
		if err != nil {
			return after, &Refusal{wire.InvalidRequest, err.Error()}
		}
		return after, nil
	}
	return hub.After{}, nil
}

// metrics count streams and their ends.
type metrics struct {
	streams  prometheus.Counter
	refusals *prometheus.CounterVec // by code
	closes   *prometheus.CounterVec // by reason
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		streams: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "talus_sse_streams_total", Help: "Event streams that began.",
		}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_sse_refusals_total", Help: "Requests for event streams that were refused.",
		}, []string{"code"}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_sse_closes_total", Help: "Connections of event streams that ended, by close code or cause.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.streams, m.refusals, m.closes)
	return m
}

func (m *metrics) refused(code wire.Code) { m.refusals.WithLabelValues(string(code)).Inc() }
