package hub

import (
	"sync"
	"sync/atomic"
)

// spread calls f for each subscription. In a big room the room's goroutine gets help and waits for it, so that a commit
// reaches the last client earlier where there are cores to spare: f must not care in which order subscriptions come, or
// that others are served meanwhile. Who gets a core too late finds nothing left to do.
func (r *Room) spread(f func(*Subscription)) {
	help := min(r.hub.cfg.Writers, len(r.subs)/r.hub.cfg.Share) - 1
	if help <= 0 {
		for _, s := range r.subs {
			f(s)
		}
		return
	}
	piece := max(1, r.hub.cfg.Share/4) // small enough that all end together, large against what taking one costs
	var taken atomic.Int64
	serve := func() {
		for {
			end := int(taken.Add(int64(piece)))
			from := end - piece
			if from >= len(r.subs) {
				return
			}
			for _, s := range r.subs[from:min(end, len(r.subs))] {
				f(s)
			}
		}
	}
	var helpers sync.WaitGroup
	for range help {
		helpers.Go(serve)
	}
	serve()
	helpers.Wait()
}
