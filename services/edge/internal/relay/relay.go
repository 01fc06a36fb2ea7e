// Package relay brings requests of Socket.IO sessions to the edge that has the session, so that no proxy in front needs to
// know which one that is.
//
// The id of a session begins with the id of its edge, which is random and new for each process. Edges register their ids
// with the addresses under which others reach them, for a time, and read who is registered as often as they renew. A poll, a
// post or an upgrade whose session is on another edge goes to the address that is registered for it, and to no other: what
// a client sends is only ever compared with the table. It is passed on once at most.
//
// It promises that a session whose edge is unknown, gone or silent is unknown, so that its client begins a new one; and that
// forged ids cost no more than five reads of the table per second. Responses are whole, like those of the session's edge.
//
// Goroutines: the caller of [Relay.Run]; and two for each WebSocket that is passed on, which an even spread over n edges
// makes of n-1 in n of those that began as polls. Run waits for them. The HTTP client has two more while it has connections, and
// for 20 s after that, which nobody can end: one for each edge that it has talked to, and one in all.
package relay

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// dialBound is how long another edge may take to accept a connection.
const dialBound = 2 * time.Second

// Config is how an edge is found and how long others may take.
type Config struct {
	// Address says under which host:port other edges reach this one. It is asked until it knows. Nil: there are no others.
	Address func(context.Context) (string, error)
	// Seat counts a WebSocket that is passed on as a connection of its client until leave is called; its error refuses it.
	// Nil: they are not counted.
	Seat   func(*fiber.Ctx) (leave func(), err error)
	Within time.Duration // bound of one request that is passed on; longer than a poll. Default 60 s
}

// Relay is one edge among others. It is safe for concurrent use.
type Relay struct {
	cfg      Config
	id       string
	registry Registry
	log      *slog.Logger
	client   fasthttp.Client
	passed   *prometheus.CounterVec // by kind and result
	drawn    []byte                 // the secret that is used if there is none yet
	table    atomic.Pointer[table]
	wanted   chan struct{} // a newer table is; one entry
	own      string        // the address of this edge, once it is known; of the goroutine of Run

	life    context.Context // of what is passed on
	end     context.CancelFunc
	lines   lines
	tunnels tunnels
}

// New returns a relay that knows no others until it runs. The metrics are registered with reg.
func New(cfg Config, registry Registry, reg prometheus.Registerer, log *slog.Logger) *Relay {
	if cfg.Within == 0 {
		cfg.Within = time.Minute
	}
	r := &Relay{
		cfg: cfg, id: random(idBytes), registry: registry, log: log, drawn: []byte(random(secretBytes)),
		wanted: make(chan struct{}, 1),
		client: fasthttp.Client{
			NoDefaultUserAgentHeader: true, DisablePathNormalizing: true, DisableHeaderNamesNormalizing: true,
			MaxConnsPerHost: math.MaxInt, MaxIdleConnDuration: 20 * time.Second, MaxConnWaitTimeout: dialBound,
			RetryIf: func(*fasthttp.Request) bool { return false }, // a poll that was answered is not there a second time
		},
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_relayed_requests_total", Help: "Requests of sessions on other edges, by what they were and what became of them.",
		}, []string{"kind", "result"}),
	}
	r.client.Dial = r.dial
	r.lines.open = map[*line]struct{}{}
	r.life, r.end = context.WithCancel(context.Background()) // until HangUp
	r.table.Store(&table{next: make(chan struct{})})
	r.tunnels.open = map[*tunnel]struct{}{}
	reg.MustRegister(r.passed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "talus_relayed_sockets", Help: "WebSockets that are passed on to other edges.",
	}, func() float64 { return float64(r.Tunnels()) }))
	if r.cfg.Seat == nil {
		r.cfg.Seat = func(*fiber.Ctx) (func(), error) { return func() {}, nil }
	}
	return r
}

const (
	idBytes     = 9
	secretBytes = 32
)

// random is n random bytes as text that needs no escaping.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// SessionID makes the id of a session of this edge from a random one.
func (r *Relay) SessionID(random string) string { return r.id + random }

// ownerOf is the edge's part of a session id.
func ownerOf(session string) string {
	return strings.Clone(session[:min(len(session), base64.RawURLEncoding.EncodedLen(idBytes))])
}

// Run keeps the edge registered until ctx ends, then ends what is passed on.
func (r *Relay) Run(ctx context.Context) error {
	defer r.client.CloseIdleConnections()
	defer r.tunnels.close()
	defer r.HangUp()
	r.keep(ctx)
	return nil
}
