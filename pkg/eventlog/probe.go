package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	probeEvery   = 500 * time.Millisecond // a message to itself, over another connection
	probesMissed = 4                      // in a row, half a second ago or longer: the feed is deaf
	probeBound   = time.Second            // of one publish
	probeLate    = 3 * time.Second        // without a probe heard: the feed is not ready
)

var errDeaf = errors.New("feed hears nothing of what is published")

// errSilent is wrapped in ErrUnavailable: no probe came back lately.
var errSilent = errors.New("feed does not hear what it publishes")

// Ready tells whether messages arrive: what the feed publishes through the pool comes back on its own connection. It returns
// ErrUnavailable when nothing came back for three seconds.
func (f *Feed) Ready(context.Context) error {
	heard := f.heard.Load()
	if heard == 0 || time.Since(f.born)-time.Duration(heard) > probeLate {
		return fmt.Errorf("%w: %w", ErrUnavailable, errSilent)
	}
	return nil
}

// probe publishes to the feed itself through the pool, now and then and whenever the feed begins to listen. A connection that is
// open and hears nothing is given up; a PING would be answered there.
func (f *Feed) probe(ctx context.Context, sub *redis.PubSub, channel string, listens <-chan struct{}) error {
	_ = sub.Subscribe(ctx, channel)
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if f.unheard.Load() >= probesMissed {
				return errDeaf
			}
		case <-listens:
		}
		bounded, cancel := context.WithTimeout(ctx, probeBound)
		err := f.rdb.Publish(bounded, channel, "").Err()
		cancel()
		if err == nil {
			f.unheard.Add(1)
		}
	}
}
