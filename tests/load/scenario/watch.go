//go:build linux

package scenario

import (
	"context"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/talus-tally/talus/tests/load/swarm"
)

// watch takes the crowd's window every second. The function it returns ends that, waits for it and returns p99 per
// second in milliseconds, and all seconds together; warm-up is left out.
func (b *Bench) watch(ctx context.Context, c *crowd) func() ([][2]float64, *hdrhistogram.Histogram) {
	ctx, cancel := context.WithCancel(ctx)
	var points [][2]float64
	whole := swarm.NewHistogram()
	var watching sync.WaitGroup
	watching.Go(func() {
		began := time.Now()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				latency := c.Window().Latency
				if after := now.Sub(began); after > warm+time.Second && latency.TotalCount() > 0 {
					points = append(points, [2]float64{after.Seconds() - warm.Seconds(), ms(latency, 99)})
					whole.Merge(latency)
				}
			}
		}
	})
	return func() ([][2]float64, *hdrhistogram.Histogram) {
		cancel()
		watching.Wait()
		whole.Merge(c.Window().Latency)
		return points, whole
	}
}
