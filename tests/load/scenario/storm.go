//go:build linux

package scenario

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/talus-tally/talus/tests/load/drive"
	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/swarm"
)

// connect opens all connections as fast as the server takes them.
func connect(ctx context.Context, b *Bench) error {
	clients, n := or(b.Clients, 10_000), or(b.Rooms, 100)
	pending := or(b.Pending, 1000)
	c, err := b.gather(ctx, swarm.Config{Pending: pending}, n, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	defer b.verdict(c)
	b.Say("%s: %d clients into %d rooms, %d at a time", b.Result.Scenario, clients, n, pending)
	s, err := b.storm(ctx, c, func(ctx context.Context) error { return c.join(ctx, b, clients) })
	if err != nil {
		return err
	}
	b.Result.Add(fmt.Sprintf("%d clients, %d rooms", clients, n), s.joining(float64(clients), float64(n))...)
	return nil
}

// heard waits until every edge has every commit so far: a client of its own goes to each edge for each session. Clients
// that are told no position can then only come back at the head.
func (c *crowd) heard(ctx context.Context, b *Bench) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := swarm.New(swarm.Config{Depth: 64})
	if err != nil {
		return err
	}
	defer s.Close()
	var seats []swarm.Seat
	for _, session := range c.sessions {
		for _, edge := range b.System.Edges {
			one, err := s.Seats([]netip.AddrPort{edge}, follow.Native{}, session.ID, 1)
			if err != nil {
				return err
			}
			seats = append(seats, one...)
		}
	}
	if err := s.Open(ctx, seats); err != nil {
		return err
	}
	return s.Await(ctx, c.heads())
}

// storm measures what everybody's coming costs.
func (b *Bench) storm(ctx context.Context, c *crowd, come func(context.Context) error) (span, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c.Window()
	from, err := b.read(ctx, c.Swarm)
	if err != nil {
		return span{}, err
	}
	if err := come(ctx); err != nil {
		return span{}, err
	}
	to, err := b.read(ctx, c.Swarm)
	s := b.between(from, to)
	s.joins = c.Window().Joins
	return s, err
}

// joining is a row's figures for clients that come.
func (s span) joining(clients, rooms float64) []report.Figure {
	calls := float64(s.calls.Total())
	return []report.Figure{
		{Name: "took", Value: s.took.Seconds(), Unit: "s"},
		{Name: "joins/s", Value: clients / s.took.Seconds()},
		{Name: "join p50", Value: ms(s.joins, 50), Unit: "ms"},
		{Name: "join p99", Value: ms(s.joins, 99), Unit: "ms"},
		{Name: "edge CPU/join", Value: per(s.edges, clients), Unit: "µs"},
		{Name: "Redis calls", Value: calls},
		{Name: "Redis calls/room", Value: calls / rooms},
		{Name: "Redis calls/client", Value: calls / clients},
		{Name: "our CPU/join", Value: per(s.us, clients), Unit: "µs"},
	}
}

// reconnect cuts everybody off, lets commits happen, and brings everybody back with the position held.
func reconnect(ctx context.Context, b *Bench) error {
	return comeBack(ctx, b, func(context.Context) error { return nil })
}

// kill is reconnect to edges that know nothing: they were killed.
func kill(ctx context.Context, b *Bench) error { return comeBack(ctx, b, b.System.KillEdges) }

func comeBack(ctx context.Context, b *Bench, meanwhile func(context.Context) error) error {
	clients, n := or(b.Clients, 5000), or(b.Rooms, 50)
	missed := b.rates(20)[0] // commits per room in the meantime
	pending := or(b.Pending, 1000)
	b.Say("%s: %d clients of %d rooms", b.Result.Scenario, clients, n)
	c, err := b.gather(ctx, swarm.Config{Pending: pending, Depth: 256}, n, clients)
	if err != nil {
		return err
	}
	defer c.Close()
	defer b.verdict(c)
	some := func() {
		rate := max(missed*float64(n), 1)
		b.judge(drive.Run(ctx, b.changes(c.sessions, rate, time.Second)))
	}
	some()
	if err := b.settle(ctx, c); err != nil {
		return err
	}
	seats := c.Drop()
	if err := meanwhile(ctx); err != nil {
		return err
	}
	some()
	b.Say("%s: %d clients come back, each %g commits behind", b.Result.Scenario, len(seats), missed)
	if !b.dialect().Chained() {
		if err := c.heard(ctx, b); err != nil {
			return err
		}
	}
	c.Tell(c.heads())
	s, err := b.storm(ctx, c, func(ctx context.Context) error {
		if err := c.Open(ctx, seats); err != nil {
			return err
		}
		return b.settle(ctx, c)
	})
	if err != nil {
		return err
	}
	b.Result.Add(fmt.Sprintf("%d clients, %d rooms", clients, n), s.joining(float64(clients), float64(n))...)
	if !b.dialect().Chained() {
		b.Result.Note("clients of this dialect come back to the head and read the graph, which is not measured; Redis carried out %v", map[string]int64(s.calls))
		return nil
	}
	if resumed := c.Counts().Resumed; resumed != uint64(clients) {
		b.Result.Break("%d of %d clients resumed", resumed, clients)
	}
	b.Result.Note("every client got the %g commits that it had missed: %.0f deliveries; Redis carried out %v", missed, s.deliveries, map[string]int64(s.calls))
	return nil
}

// idle lets clients sit there.
func idle(ctx context.Context, b *Bench) error {
	clients, n := or(b.Clients, 10_000), or(b.Rooms, 100)
	length := or(b.For, 20*time.Second)
	c, err := b.gather(ctx, swarm.Config{}, n, min(clients, 10*n))
	if err != nil {
		return err
	}
	defer c.Close()
	defer b.verdict(c)
	first := c.Counts().Open
	if err := rest(ctx, length/4); err != nil { // what is allocated once has been
		return err
	}
	before, err := b.read(ctx, c.Swarm)
	if err != nil {
		return err
	}
	b.Say("%s: %d clients join %d rooms and rest", b.Result.Scenario, clients, n)
	if err := c.join(ctx, b, clients-first); err != nil {
		return err
	}
	joined, err := b.read(ctx, c.Swarm)
	if err != nil {
		return err
	}
	if err := rest(ctx, length); err != nil {
		return err
	}
	after, err := b.read(ctx, c.Swarm)
	if err != nil {
		return err
	}
	s := b.between(joined, after)
	more := float64(clients - first)
	grown := func(r reading) (bytes float64) {
		for i := range b.System.Edges {
			bytes += float64(r.servers[i].RSS - before.servers[i].RSS)
		}
		return bytes
	}
	b.Result.Add(fmt.Sprintf("%d clients, %d rooms", clients, n),
		report.Figure{Name: "RSS/client when joined", Value: grown(joined) / more, Unit: "B"},
		report.Figure{Name: fmt.Sprintf("RSS/client after %v", length), Value: grown(after) / more, Unit: "B"},
		report.Figure{Name: "RSS", Value: float64(after.servers[0].RSS) / (1 << 20), Unit: "MiB"},
		report.Figure{Name: "files", Value: float64(after.servers[0].Files)},
		report.Figure{Name: "edge CPU", Value: 100 * s.edges.Seconds() / s.took.Seconds(), Unit: "%"},
		report.Figure{Name: "Redis calls/s", Value: float64(s.calls.Total()) / s.took.Seconds()})
	return nil
}

// rest lets time pass.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
