//go:build linux

package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/meter"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/swarm"
)

// When everybody has left, their edge must be as it was before they came: with no more goroutines than stray above that
// within patience, and with no more memory than residue above that, resident, within memory. That takes so long because
// the runtime of Go, when nothing happens, collects garbage every two minutes, empties its pools when it has done so
// twice, and only then gives their memory back to the system. Residue is what an edge that has worked holds more than one
// that has just begun: pages of code, and garbage. An edge that has worked before, which is loaded again by its URL, must
// do without.
const (
	stray    = 3
	patience = 30 * time.Second
	residue  = 16 << 20 // bytes
	memory   = 8 * time.Minute
)

// polling is one session that many follow by long-polling. They come, follow and say good-bye.
func polling(ctx context.Context, b *Bench) error {
	clients, rate, length := or(b.Clients, 1000), b.rates(20)[0], or(b.For, 20*time.Second)
	if b.Dialect == nil {
		b.Dialect = follow.Polling{}
	}
	c, err := b.gather(ctx, swarm.Config{}, 1, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	defer b.verdict(c)
	before, err := b.footprint(ctx)
	if err != nil {
		return err
	}
	b.Say("%s: %d clients, %g commits/s", b.Result.Scenario, clients, rate)
	if err := c.join(ctx, b, clients); err != nil {
		return err
	}
	s, err := b.measure(ctx, c, rate, length)
	if err != nil {
		return err
	}
	b.Result.Add(label(clients, 1, rate), append(s.fanOut(), report.Figure{Name: "requests/delivery", Value: s.reads / max(s.deliveries, 1)})...)
	if want := float64(clients) * float64(s.outcome.Sent); s.deliveries != want {
		b.Result.Break("%g deliveries, want %g", s.deliveries, want)
	}
	b.Result.Add("before they came", before.figures(0)...)
	if err := b.record(ctx, "when they had all", 0); err != nil {
		return err
	}
	left := time.Now()
	if err := c.Leave(ctx); err != nil {
		return err
	}
	if err := b.record(ctx, "when they had left", time.Since(left)); err != nil {
		return err
	}
	return b.ebb(ctx, before, left)
}

// ebb waits until the edges are as before: first their goroutines, then their memory.
func (b *Bench) ebb(ctx context.Context, before footprint, left time.Time) error {
	for _, part := range []struct {
		what  string
		limit time.Duration
		every time.Duration // asking makes garbage, too
		back  func(footprint) bool
	}{
		{fmt.Sprintf("at most %d goroutines more than before", stray), patience, time.Second / 2, func(now footprint) bool { return now.goroutines <= before.goroutines+stray }},
		{fmt.Sprintf("at most %d MiB more than before", residue>>20), memory, 5 * time.Second, func(now footprint) bool { return now.rss <= before.rss+residue }},
	} {
		b.Say("%s: waiting for %s", b.Result.Scenario, part.what)
		for {
			now, err := b.footprint(ctx)
			if err != nil {
				return err
			}
			took := time.Since(left)
			if back := part.back(now); back || took > part.limit {
				b.Result.Add(part.what, now.figures(took)...)
				if !back {
					b.Result.Break("not back to %s, %v after all had left", part.what, part.limit)
				}
				break
			}
			if err := rest(ctx, part.every); err != nil {
				return err
			}
		}
	}
	return nil
}

// record adds what the edges hold now.
func (b *Bench) record(ctx context.Context, what string, since time.Duration) error {
	now, err := b.footprint(ctx)
	if err == nil {
		b.Result.Add(what, now.figures(since)...)
	}
	return err
}

// footprint is what edges hold.
type footprint struct {
	goroutines, rss, heap float64
}

func (f footprint) figures(since time.Duration) []report.Figure {
	return []report.Figure{
		{Name: "after their leaving", Value: since.Seconds(), Unit: "s"},
		{Name: "goroutines", Value: f.goroutines},
		{Name: "RSS", Value: f.rss / (1 << 20), Unit: "MiB"},
		{Name: "heap in use", Value: f.heap / (1 << 20), Unit: "MiB"},
	}
}

func (b *Bench) footprint(ctx context.Context) (sum footprint, err error) {
	for _, edge := range b.System.Edge() {
		u, err := edge.Read(ctx)
		if err != nil {
			return sum, err
		}
		sum.rss += float64(u.RSS)
	}
	for _, edge := range b.System.Edges {
		inside, err := meter.ReadInside(ctx, fmt.Sprintf("http://%s/metrics", edge))
		if err != nil {
			return sum, err
		}
		sum.goroutines += inside.Goroutines
		sum.heap += inside.Heap
	}
	return sum, nil
}
