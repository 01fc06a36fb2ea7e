//go:build linux

package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/swarm"
)

// dialects loads one room in each way in which clients can be connected, so that they can be compared.
func dialects(ctx context.Context, b *Bench) error {
	cost := report.Chart{File: "dialects-cost", Title: "CPU time of the edge per delivery", X: "commits per second", Y: "µs"}
	late := report.Chart{File: "dialects-p99", Title: "p99 from the moment a command is due to its receipt", X: "commits per second", Y: "ms", LogY: true}
	for _, d := range follow.Dialects() {
		b.Dialect = d
		inCost, inLate, err := b.dialected(ctx)
		cost.Series, late.Series = append(cost.Series, inCost), append(late.Series, inLate)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
	}
	b.Result.Charts = append(b.Result.Charts, cost, late)
	return nil
}

// dialected loads one room at each rate.
func (b *Bench) dialected(ctx context.Context) (cost, late report.Series, err error) {
	clients, name := or(b.Clients, 1000), b.dialect().Name()
	cost.Name, late.Name = name, name
	c, err := b.gather(ctx, swarm.Config{}, 1, clients)
	if err != nil {
		return cost, late, err
	}
	defer c.Close()
	defer b.verdict(c)
	for _, rate := range b.rates(20, 50, 100) {
		b.Say("%s: %s, %d clients, %g commits/s", b.Result.Scenario, name, clients, rate)
		s, err := b.measure(ctx, c, rate, or(b.For, 5*time.Second))
		if err != nil {
			return cost, late, err
		}
		b.Result.Add(name+", "+label(clients, 1, rate), s.fanOut()...)
		cost.Points = append(cost.Points, [2]float64{rate, per(s.edges, s.deliveries)})
		late.Points = append(late.Points, [2]float64{rate, ms(s.latency, 99)})
	}
	return cost, late, nil
}
