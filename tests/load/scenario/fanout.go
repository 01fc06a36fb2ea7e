//go:build linux

package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/swarm"
)

// room is one session that many watch.
func room(ctx context.Context, b *Bench) error {
	clients := or(b.Clients, 1000)
	c, err := b.gather(ctx, swarm.Config{}, 1, clients)
	if err != nil {
		return err
	}
	defer c.Close()
	defer b.verdict(c)
	for _, rate := range b.rates(20, 100, 200) {
		b.Say("%s: %d clients, %g commits/s", b.Result.Scenario, clients, rate)
		s, err := b.measure(ctx, c, rate, or(b.For, 10*time.Second))
		if err != nil {
			return err
		}
		b.Result.Add(label(clients, 1, rate), s.fanOut()...)
	}
	return nil
}

// The ceiling is reached when the slowest hundredth waits longer than tooLate or commits are not taken at their rate.
const (
	tooLate = 100 // ms
	kept    = 0.95
)

// ceiling raises the load of one room until it is too much.
func ceiling(ctx context.Context, b *Bench) error {
	clients := or(b.Clients, 1000)
	c, err := b.gather(ctx, swarm.Config{}, 1, clients)
	if err != nil {
		return err
	}
	defer c.Close()
	defer b.verdict(c)
	var p50, p99, cost report.Series
	p50.Name, p99.Name, cost.Name = "p50", "p99", "edge CPU"
	best := 0.0
	for _, rate := range b.rates(50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800) {
		b.Say("%s: %d clients, %g commits/s", b.Result.Scenario, clients, rate)
		s, err := b.measure(ctx, c, rate, or(b.For, 6*time.Second))
		if err != nil {
			return err
		}
		b.Result.Add(label(clients, 1, rate), s.fanOut()...)
		reached := s.deliveries / s.took.Seconds()
		p50.Points = append(p50.Points, [2]float64{reached, ms(s.latency, 50)})
		p99.Points = append(p99.Points, [2]float64{reached, ms(s.latency, 99)})
		cost.Points = append(cost.Points, [2]float64{reached, per(s.edges, s.deliveries)})
		if ms(s.latency, 99) > tooLate || s.outcome.Rate() < kept*rate {
			break
		}
		best = reached
	}
	b.Result.Note("%.0f deliveries/s before p99 passed %d ms", best, tooLate)
	x := fmt.Sprintf("deliveries per second to %d clients of one room", clients)
	b.Result.Charts = append(b.Result.Charts,
		report.Chart{File: "latency", Title: "From the moment a command is due to its receipt", X: x, Y: "ms", LogY: true, Series: []report.Series{p50, p99}},
		report.Chart{File: "cost", Title: "CPU time of the edge per delivery", X: x, Y: "µs", Series: []report.Series{cost}})
	return nil
}

// rooms is many sessions that few watch.
func rooms(ctx context.Context, b *Bench) error {
	n := or(b.Rooms, 1000)
	clients := or(b.Clients, 10*n)
	b.Say("%s: %d rooms, %d clients", b.Result.Scenario, n, clients)
	c, err := b.gather(ctx, swarm.Config{}, n, clients)
	if err != nil {
		return err
	}
	defer c.Close()
	defer b.verdict(c)
	for _, rate := range b.rates(1000, 4000) {
		b.Say("%s: %g commits/s", b.Result.Scenario, rate)
		b.Callers = or(b.Callers, 32)
		s, err := b.measure(ctx, c, rate, or(b.For, 10*time.Second))
		if err != nil {
			return err
		}
		b.Result.Add(label(clients, n, rate), s.fanOut()...)
	}
	return nil
}

// slow compares a room where some never read with one where all do.
func slow(ctx context.Context, b *Bench) error {
	clients, deaf, length := or(b.Clients, 1000), or(b.Slow, 10), or(b.For, 60*time.Second)
	rate := b.rates(100)[0]
	chart := report.Chart{File: "slow", Title: fmt.Sprintf("%d clients, %g commits/s: p99 of those who read, second by second", clients, rate), X: "seconds", Y: "ms"}
	for _, never := range []int{0, deaf} {
		b.Say("%s: %d of %d never read, %g commits/s", b.Result.Scenario, never, clients, rate)
		series, err := slowRun(ctx, b, clients, never, rate, length)
		if err != nil {
			return err
		}
		chart.Series = append(chart.Series, series)
	}
	b.Result.Charts = append(b.Result.Charts, chart)
	return nil
}

func slowRun(ctx context.Context, b *Bench, clients, never int, rate float64, length time.Duration) (report.Series, error) {
	series := report.Series{Name: fmt.Sprintf("%d never read", never)}
	c, err := b.gather(ctx, swarm.Config{ReceiveBuffer: 16 << 10}, 1, clients)
	if err != nil {
		return series, err
	}
	defer c.Close()
	c.Deafen(never)
	seconds := b.watch(ctx, c)
	s, err := b.measure(ctx, c, rate, length)
	points, whole := seconds()
	if err != nil {
		return series, err
	}
	series.Points, s.latency = points, whole
	b.Result.Add(fmt.Sprintf("%d of %d never read", never, clients), s.fanOut()...)
	b.verdict(c)
	return series, nil
}
