package edge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
)

// leaving is the part of the drain time in which clients are asked to leave; the rest is for those that take long.
const leaving = 0.8

// returnWithin spreads the clients that come back over this time.
const returnWithin = time.Second

// drain is what happens between the signal and the end: the instance says that it is not ready, goes on for a while as
// if nothing were, so that load balancers notice, then refuses connections and joins and sends the clients away. What is
// left at the end of the drain time is cut off, and so are the polls that it has passed on to other edges. Over ends the first part early: there is nobody left to serve.
func (e *Edge) drain(over <-chan struct{}) {
	e.health.Drain()
	if e.cfg.DrainDelay > 0 {
		notice := time.NewTimer(e.cfg.DrainDelay)
		defer notice.Stop()
		select {
		case <-notice.C:
		case <-over:
		}
	}
	e.handler.Drain()
	e.graph.Drain()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), max(e.cfg.Drain, time.Millisecond))
	defer cancel()
	spread := time.Duration(leaving * float64(e.cfg.Drain))
	var passing sync.WaitGroup
	passing.Go(func() { e.relay.Drain(ctx, spread) })
	defer e.relay.HangUp() // last: until then the clients of other edges are served
	defer passing.Wait()
	clients := e.sockets.Stats().Connections
	if err := e.sockets.Drain(ctx, spread, wire.CloseRestart, e.farewell); err != nil {
		e.log.Warn("clients were cut off at the end of the drain time", "clients", clients, "err", err)
		return
	}
	e.log.Info("clients were sent away", "clients", clients, "took", time.Since(began))
}

// farewell tells a client when to come back: when the instance is there again, or to another one within a second, and
// not all at the same moment.
func (e *Edge) farewell() string {
	after := e.cfg.Restart + rand.N(returnWithin+time.Millisecond)
	return fmt.Sprintf(`{"retry_after_ms":%d}`, after.Milliseconds())
}
