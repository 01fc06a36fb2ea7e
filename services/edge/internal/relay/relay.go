// Package relay brings requests of Socket.IO sessions to the edge that has the session, so that no proxy in front needs to
// know which one that is.
//
// The id of a session begins with the id of its edge, which is random and new for each process. Edges register their ids
// with the addresses under which others reach them, for a time, and read who is registered as often as they renew. A poll, a
// post or an upgrade whose session is on another edge goes to the address that is registered for it, and to no other: what
// a client sends is only ever compared with the table. It is passed on once at most.
//
// It promises that a session whose edge is unknown, gone or silent is unknown, so that its client begins a new one; and that
// forged ids cost no more than some reads of the table per second. Responses are whole, like those of the session's edge.
//
// Goroutines: the caller of [Relay.Run]; and two for each WebSocket that is passed on, which an even spread over n edges
// makes of n-1 in n of those that began as polls. Run waits for them.
package relay

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/talus-tally/talus/pkg/eventlog"
)

const (
	registered = 15 * time.Second       // how long an entry lasts
	renewEvery = 2 * time.Second        // entries are renewed, and read
	readEvery  = 200 * time.Millisecond // the table is read no more often than that for ids that are not in it
	callBound  = time.Second            // of one call to the registry
	dialBound  = 2 * time.Second
)

// Registry is where edges find each other; *eventlog.Log is one.
type Registry interface {
	Register(ctx context.Context, edge, address string, within time.Duration, secret []byte) (eventlog.Edges, error)
	Unregister(ctx context.Context, edge string) error
}

// Config is how an edge is found and how long others may take.
type Config struct {
	Address string        // under which other edges reach this one, host:port; empty: there are no others
	Within  time.Duration // bound of one request that is passed on; longer than a poll. Default 60 s
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
	known    atomic.Pointer[eventlog.Edges]

	read struct {
		sync.Mutex
		last time.Time
	}
	tunnels tunnels
}

// New returns a relay that knows no others until it runs. The metrics are registered with reg.
func New(cfg Config, registry Registry, reg prometheus.Registerer, log *slog.Logger) *Relay {
	if cfg.Within == 0 {
		cfg.Within = time.Minute
	}
	r := &Relay{
		cfg: cfg, id: random(idBytes), registry: registry, log: log, drawn: []byte(random(secretBytes)),
		client: fasthttp.Client{
			NoDefaultUserAgentHeader: true, DisablePathNormalizing: true, DisableHeaderNamesNormalizing: true,
			MaxConnsPerHost: math.MaxInt, MaxIdleConnDuration: 20 * time.Second, MaxConnWaitTimeout: dialBound,
			Dial:    func(addr string) (net.Conn, error) { return fasthttp.DialDualStackTimeout(addr, dialBound) },
			RetryIf: func(*fasthttp.Request) bool { return false }, // a poll that was answered is not there a second time
		},
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_relayed_requests_total", Help: "Requests of sessions on other edges, by what they were and what became of them.",
		}, []string{"kind", "result"}),
	}
	r.tunnels.open = map[*tunnel]struct{}{}
	reg.MustRegister(r.passed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "talus_relayed_sockets", Help: "WebSockets that are passed on to other edges.",
	}, func() float64 { return float64(r.Tunnels()) }))
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

// Secret is what all edges sign tokens with: the one in the registry, which may change if that loses its data, or an own one
// until that has been read.
func (r *Relay) Secret() []byte {
	if known := r.known.Load(); known != nil {
		return known.Secret
	}
	return r.drawn
}

// Ready says whether other edges can find this one.
func (r *Relay) Ready(context.Context) error {
	if r.known.Load() == nil {
		return errUnregistered
	}
	return nil
}

// Run keeps the edge registered until ctx ends, then ends what is passed on.
func (r *Relay) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := renewEvery
		if !r.renew(ctx) {
			pause = readEvery
		}
		timer := time.NewTimer(pause/2 + mathrand.N(pause/2))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	r.tunnels.close()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), callBound)
	defer cancel()
	if r.cfg.Address != "" {
		if err := r.registry.Unregister(last, r.id); err != nil {
			r.log.Debug("edge stays registered until its time is over", "err", err)
		}
	}
	r.client.CloseIdleConnections()
	return nil
}

// renew registers the edge and reads who else is there.
func (r *Relay) renew(ctx context.Context) bool {
	r.read.Lock()
	defer r.read.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	edges, err := r.registry.Register(ctx, r.id, r.cfg.Address, registered, r.Secret())
	r.read.last = time.Now()
	if err != nil {
		r.log.Debug("edge cannot be registered", "err", err)
		return false
	}
	r.known.Store(&edges)
	return true
}

// address finds where an edge can be reached; empty if it is not registered, or is this one.
func (r *Relay) address(edge string) string {
	if edge == r.id || r.cfg.Address == "" {
		return ""
	}
	if address := r.lookUp(edge); address != "" {
		return address
	}
	r.read.Lock()
	due := time.Since(r.read.last) >= readEvery
	r.read.Unlock()
	if due { // it may have come since
		r.renew(context.Background())
	}
	return r.lookUp(edge)
}

func (r *Relay) lookUp(edge string) string {
	if known := r.known.Load(); known != nil {
		return known.Addresses[edge]
	}
	return ""
}
