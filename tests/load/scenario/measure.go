//go:build linux

package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/talus-tally/talus/tests/load/drive"
	"github.com/talus-tally/talus/tests/load/meter"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/swarm"
)

// caughtUp bounds the wait until everybody has the last commit.
const caughtUp = 20 * time.Second

// reading is what the servers and we had used at one moment.
type reading struct {
	at      time.Time
	servers []meter.Usage
	calls   meter.Calls
	us      meter.Usage
	counts  swarm.Counts
}

func (b *Bench) read(ctx context.Context, s *swarm.Swarm) (r reading, err error) {
	r.at = time.Now()
	for _, server := range b.System.Servers {
		u, err := server.Read(ctx)
		if err != nil {
			return r, err
		}
		r.servers = append(r.servers, u)
	}
	if r.us, err = meter.Self(ctx); err != nil {
		return r, err
	}
	if b.System.Redis != nil {
		if r.calls, err = meter.Redis(ctx, b.System.Redis); err != nil {
			return r, err
		}
	}
	if s != nil {
		r.counts = s.Counts()
	}
	return r, nil
}

// span is what happened between two readings.
type span struct {
	took       time.Duration
	deliveries float64
	bytes      float64
	reads      float64       // of our sockets; of polling clients, the answers
	edges      time.Duration // CPU of all edges, or of the standalone
	others     map[string]time.Duration
	us         time.Duration
	calls      meter.Calls
	latency    *hdrhistogram.Histogram
	joins      *hdrhistogram.Histogram
	outcome    drive.Outcome
}

func (b *Bench) between(from, to reading) span {
	s := span{
		took: to.at.Sub(from.at), us: to.us.CPU - from.us.CPU, calls: to.calls.Since(from.calls), others: map[string]time.Duration{},
		deliveries: float64(to.counts.Deliveries - from.counts.Deliveries), bytes: float64(to.counts.Bytes - from.counts.Bytes),
		reads: float64(to.counts.Pieces - from.counts.Pieces),
	}
	for i, server := range b.System.Servers {
		cpu := to.servers[i].CPU - from.servers[i].CPU
		if i < len(b.System.Edges) {
			s.edges += cpu
		} else {
			s.others[server.Name()] += cpu
		}
	}
	return s
}

// warm is how long a load runs before it is measured.
const warm = time.Second

// measure loads a crowd with changes and waits until everybody has them all.
func (b *Bench) measure(ctx context.Context, c *crowd, rate float64, length time.Duration) (span, error) {
	drive.Run(ctx, b.changes(c.sessions, rate, warm))
	if err := b.settle(ctx, c); err != nil {
		return span{}, err
	}
	c.Window()
	from, err := b.read(ctx, c.Swarm)
	if err != nil {
		return span{}, err
	}
	outcome := drive.Run(ctx, b.changes(c.sessions, rate, length))
	if err := b.settle(ctx, c); err != nil {
		return span{}, err
	}
	to, err := b.read(ctx, c.Swarm)
	if err != nil {
		return span{}, err
	}
	s := b.between(from, to)
	window := c.Window()
	s.outcome, s.latency, s.joins = outcome, window.Latency, window.Joins
	b.judge(outcome)
	return s, ctx.Err()
}

// settle waits until everybody is current.
func (b *Bench) settle(ctx context.Context, c *crowd) error {
	ctx, cancel := context.WithTimeout(ctx, caughtUp)
	defer cancel()
	return c.Await(ctx, c.heads())
}

// judge reports commands that were refused or not answered.
func (b *Bench) judge(o drive.Outcome) {
	if o.Refused+o.Failed > 0 {
		b.Result.Break("%d commands were refused and %d not answered, first: %v", o.Refused, o.Failed, o.First)
	}
}

// verdict reports streams that were wrong.
func (b *Bench) verdict(c *crowd) {
	counts := c.Counts()
	if counts.Wrong+counts.Lost > 0 {
		b.Result.Break("%d streams were wrong and %d ended by the server, farewells %v, first: %v",
			counts.Wrong, counts.Lost, counts.Farewells, counts.Errors)
	}
}

func ms(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(h.ValueAtPercentile(percentile)) / 1e6
}

func per(cpu time.Duration, n float64) float64 {
	if n == 0 {
		return 0
	}
	return float64(cpu.Nanoseconds()) / 1e3 / n
}

// fanOut is a row's figures for commits that reach clients.
func (s span) fanOut() []report.Figure {
	seconds := s.took.Seconds()
	commits := float64(s.outcome.Sent)
	figures := []report.Figure{
		{Name: "commits/s", Value: s.outcome.Rate()},
		{Name: "deliveries/s", Value: s.deliveries / seconds},
		{Name: "bytes", Value: s.bytes / max(s.deliveries, 1)},
		{Name: "edge CPU/delivery", Value: per(s.edges, s.deliveries), Unit: "µs"},
		{Name: "edge CPU", Value: 100 * s.edges.Seconds() / seconds, Unit: "%"},
		{Name: "p50", Value: ms(s.latency, 50), Unit: "ms"},
		{Name: "p99", Value: ms(s.latency, 99), Unit: "ms"},
		{Name: "max", Value: ms(s.latency, 100), Unit: "ms"},
		{Name: "answer p99", Value: ms(s.outcome.Latency, 99), Unit: "ms"},
	}
	for _, name := range []string{"command", "redis"} {
		if cpu, ok := s.others[name]; ok {
			figures = append(figures, report.Figure{Name: name + " CPU/commit", Value: per(cpu, commits), Unit: "µs"})
		}
	}
	return append(figures, report.Figure{Name: "our CPU/delivery", Value: per(s.us, s.deliveries), Unit: "µs"})
}

// label names a row of a load.
func label(clients, rooms int, rate float64) string {
	if rooms == 1 {
		return fmt.Sprintf("%d clients, %g/s", clients, rate)
	}
	return fmt.Sprintf("%d rooms, %d clients, %g/s", rooms, clients, rate)
}
