package socket

import (
	"context"
	"sync"
	"time"
)

// wheel is the one timer of all connections. It moves the clock on by one per tick and visits each connection once per
// round, so deadlines are met with the exactness of a round.
type wheel struct {
	registry *registry
	rules    *rules
	tick     time.Duration
	round    uint32 // ticks from one visit of a connection to the next
	ping     uint32 // ticks of silence before a ping
	pong     uint32 // ticks from a ping to the end
	beat     uint32 // ticks without a byte to a mute peer before a beat
	stall    uint32 // ticks without progress to the end
	collect  uint32 // ticks that a close waits to be fetched
	lingers  uint32 // ticks from the close frame to the end
	joins    uint32 // ticks without a subscription to the end, 0: no bound

	mu        sync.Mutex
	lingering []departure // in the order of their due times
}

// departure is a connection whose close frame is out.
type departure struct {
	c   *Conn
	due uint32
}

func newWheel(cfg Config, reg *registry, r *rules) *wheel {
	shortest := min(cfg.PingEvery/2, cfg.PongWithin/2, cfg.BeatEvery/2, cfg.StallAfter/2, cfg.Linger)
	if within := cfg.Limits.JoinWithin; within > 0 {
		shortest = min(shortest, within/2)
	}
	if cfg.VisitEvery > 0 {
		shortest = min(shortest, cfg.VisitEvery)
	}
	w := &wheel{registry: reg, rules: r, tick: min(max(shortest/4, 5*time.Millisecond), time.Second)}
	ticks := func(d time.Duration) uint32 { return uint32((d + w.tick - 1) / w.tick) }
	w.ping, w.pong, w.stall, w.lingers = ticks(cfg.PingEvery), ticks(cfg.PongWithin), ticks(cfg.StallAfter), ticks(cfg.Linger)
	beat := ticks(cfg.BeatEvery)
	w.round = max(1, min(w.ping, w.pong, w.stall, beat)/4)
	if w.joins = ticks(cfg.Limits.JoinWithin); w.joins > 0 {
		w.round = max(1, min(w.round, w.joins/4))
	}
	if cfg.VisitEvery > 0 {
		w.round = max(1, min(w.round, uint32(cfg.VisitEvery/w.tick)))
	}
	w.collect = ticks(cfg.CollectWithin)
	w.beat = max(1, beat-min(beat, w.round)) // so that no silence is longer, although each is looked at once per round
	return w
}

// run turns the wheel until ctx ends.
func (w *wheel) run(ctx context.Context) {
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	var visited []*Conn
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := w.rules.clock.Add(1)
		visited = w.registry.part(visited[:0], int(now%w.round), int(w.round))
		for _, c := range visited {
			w.visit(c, now)
		}
		clear(visited)
		w.depart(now)
	}
}

// visit judges one connection: does it still take bytes, does it still answer, is its end overdue?
func (w *wheel) visit(c *Conn, now uint32) {
	bits := c.word.bits.Load()
	heard, moved := c.heard.Load(), c.moved.Load()
	keeper, kept := c.client.(Keeper)
	switch {
	case bits&(dead|lent) != 0:
	case bits&(armed|patient) == armed && since(now, moved) >= w.stall:
		w.rules.count.slow.Add(1)
		c.fail(codeSlow, ErrSlow)
	case bits&ended != 0:
		w.hasten(c, now)
	case kept:
		keeper.Visit()
	case c.joinless(now, w.joins):
		w.rules.limits.refused(Joinless)
		c.Close(codeProtocol, "no session was joined in time")
	case bits&armed != 0: // it accepts bytes, so it is alive
		c.pinged = 0
	case c.kind.mute:
		if since(now, moved) >= w.beat {
			w.rules.count.pings.Add(1)
			c.beat()
		}
	case c.pinged != 0 && since(heard, c.pinged) < 1<<31:
		c.pinged = 0
	case c.pinged != 0 && since(now, c.pinged) >= w.pong:
		w.rules.count.silent.Add(1)
		c.fail(0, ErrSilent)
	case c.pinged == 0 && since(now, heard) >= w.ping:
		c.pinged = now
		w.rules.count.pings.Add(1)
		c.beat()
	}
}

// beat keeps the connection awake, unless it is still waiting for its first byte.
func (c *Conn) beat() { _ = c.give(order{job: jobBeat, frame: c.kind.Framing.AppendBeat(nil)}) }

// since returns the ticks from then to now; the clock may wrap around.
func since(now, then uint32) uint32 { return now - then }

// hasten makes a connection end that was asked to: first without the records it waits for, then by force.
func (w *wheel) hasten(c *Conn, now uint32) {
	e, ok := c.queue.ending()
	if !ok {
		return
	}
	last := 2 * w.stall
	if c.word.has(patient) {
		last = max(last, w.collect)
	}
	switch age := since(now, e.since); {
	case age >= last:
		c.fail(0, ErrSlow)
	case age >= w.stall && e.flush:
		c.queue.stopFlushing()
		c.mark(closing)
	}
}

// linger gives the peer a moment to answer a close frame.
func (w *wheel) linger(c *Conn) {
	w.mu.Lock()
	w.lingering = append(w.lingering, departure{c, w.rules.clock.Load() + w.lingers})
	w.mu.Unlock()
}

// depart ends the connections whose moment has passed.
func (w *wheel) depart(now uint32) {
	for {
		w.mu.Lock()
		if len(w.lingering) == 0 || int32(now-w.lingering[0].due) < 0 {
			w.mu.Unlock()
			return
		}
		c := w.lingering[0].c
		w.lingering[0] = departure{}
		if w.lingering = w.lingering[1:]; len(w.lingering) == 0 {
			w.lingering = nil
		}
		w.mu.Unlock()
		c.fail(0, ErrGone)
	}
}
