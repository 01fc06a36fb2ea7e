package socket

import (
	"context"
	"math/rand/v2"
	"time"
)

// A few clients are no stampede: they are sent away at this pace, however much time there is.
const (
	drainPace = 10 * time.Millisecond // per connection
	drainTick = 10 * time.Millisecond
)

// Drain takes no new connection and sends all there are away: each at a moment of its own, drawn by lot, within over or
// what their number needs, if that is less. Then its slots are brought to the heads of their rooms and it is closed with
// code and what reason returns for it, at most 123 bytes (see Conn.Drain). Drain waits until all clients know that they
// are over. When ctx ends first, the rest is ended without ceremony, and ctx's error is returned.
func (s *Server) Drain(ctx context.Context, over time.Duration, code int, reason func() string) error {
	s.registry.refuse(func() closure { return closure{code: code, reason: reason(), flush: true} })
	s.sendAway(ctx, over, code, reason)
	err := s.registry.wait(ctx)
	if err != nil {
		s.abort()
		_ = s.registry.wait(context.Background())
	}
	return err
}

// sendAway drains every connection there is, in random order, at equal distances in time.
func (s *Server) sendAway(ctx context.Context, over time.Duration, code int, reason func() string) {
	leaving := s.registry.part(nil, 0, 1)
	rand.Shuffle(len(leaving), func(i, j int) { leaving[i], leaving[j] = leaving[j], leaving[i] })
	over = min(over, time.Duration(len(leaving))*drainPace)
	began := time.Now()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for gone := 0; gone < len(leaving); {
		due := len(leaving)
		if elapsed := time.Since(began); elapsed < over {
			due = int(float64(due) * float64(elapsed) / float64(over))
		}
		for ; gone < due; gone++ {
			leaving[gone].Drain(code, reason())
			leaving[gone] = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
