package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
)

// maxAnswer bounds an answer in bytes.
const maxAnswer = 16 << 20

// network is HTTP as it suits many short calls to a few instances behind one name. Connections end before the service
// would end them, so that no command is sent into a closing one.
func network(connections int) http.RoundTripper {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost: connections,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// call carries one command out.
func (s *Service) call(r Request) Answer {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
	defer cancel()
	a, err := s.post(ctx, r)
	if err != nil {
		s.metrics.failures.Inc()
		return s.refuse(wire.Unavailable, "the command service cannot be reached; a command with a command_id can be repeated safely")
	}
	return a
}

func (s *Service) post(ctx context.Context, r Request) (Answer, error) {
	target := strings.TrimSuffix(s.cfg.URL, "/") + "/api/v1/commands/execute"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(r.body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range map[string]string{"Prefer": r.prefer, "X-Actor": r.actor, "If-Match": r.ifMatch} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := s.client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end, or no longer wanted
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	case len(body) > maxAnswer:
		return s.refuse(wire.InternalError, "the answer is too large for a socket; ask for less with return"), nil
	case !strings.Contains(res.Header.Get("Content-Type"), "json"): // a proxy's words, not the service's
		return Answer{}, fmt.Errorf("status %d", res.StatusCode)
	}
	return Answer{Status: res.StatusCode, Replayed: res.Header.Get("Idempotency-Replayed") == "true", Body: body}, nil
}

// metrics count what became of commands.
type metrics struct {
	answers  *prometheus.CounterVec // by status
	failures prometheus.Counter
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talus_socket_commands_total", Help: "Commands that clients sent over their sockets, by the status of the answer.",
		}, []string{"status"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "talus_socket_command_failures_total", Help: "Commands of which it is not known here what became of them.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "talus_socket_command_seconds", Help: "Time that the command service took for a command.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
	}
	reg.MustRegister(m.answers, m.failures, m.seconds)
	return m
}

func (m *metrics) answered(a Answer, took time.Duration) {
	m.answers.WithLabelValues(strconv.Itoa(a.Status)).Inc()
	m.seconds.Observe(took.Seconds())
}
