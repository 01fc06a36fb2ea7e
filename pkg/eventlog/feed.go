package eventlog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// FeedHandler hears what a Feed hears. Its methods are called by one goroutine in the order of the channel and must not block:
// while they do, every session waits.
type FeedHandler interface {
	// Message is called for each message; the bytes are the handler's to keep. See wire.PeekMessage.
	Message(session uuid.UUID, payload []byte)
	// Confirmed is called whenever Redis has confirmed that the feed listens to the session: once for each Add, and again
	// after every loss of the connection. Whatever was published before may have been missed, so now is the time to read.
	Confirmed(session uuid.UUID)
}

// Feed listens to the channels of many sessions on one connection. Messages may be lost, never silently: after each moment at
// which that could happen the session is confirmed again. Loss within Redis itself (a demoted primary, a cluster bus) is not
// noticed here, which is what head checks are for.
type Feed struct {
	rdb     redis.UniversalClient
	handler FeedHandler
	poke    chan struct{} // of one element: there is something in pending

	reconnects atomic.Uint64
	unheard    atomic.Int32 // probes published since one was heard
	born       time.Time
	heard      atomic.Int64 // when a probe was heard last, nanoseconds after born; 0: never

	mu      sync.Mutex
	wanted  map[string]uuid.UUID // by channel
	pending map[string]bool      // what to tell Redis: subscribe or not
}

const (
	feedChunk      = 1000                   // channels per command
	feedBackoff    = 20 * time.Millisecond  // after the first failure, doubled up to
	feedBackoffMax = 500 * time.Millisecond // this
)

// NewFeed is a feed that listens to nothing until it runs.
func NewFeed(rdb redis.UniversalClient, handler FeedHandler) *Feed {
	return &Feed{
		rdb: rdb, handler: handler, poke: make(chan struct{}, 1), born: time.Now(),
		wanted: map[string]uuid.UUID{}, pending: map[string]bool{},
	}
}

// Add listens to a session. It does not wait; the handler's Confirmed says when messages can be relied on to arrive. Adding a
// session again brings another confirmation.
func (f *Feed) Add(session uuid.UUID) { f.want(session, true) }

// Remove listens no longer. Once it has returned, a call to the handler that had begun may still be going on, and no other comes.
func (f *Feed) Remove(session uuid.UUID) { f.want(session, false) }

// Reconnects is how often the connection was lost.
func (f *Feed) Reconnects() uint64 { return f.reconnects.Load() }

func (f *Feed) want(session uuid.UUID, listen bool) {
	channel := keysOf(session).channel()
	f.mu.Lock()
	if listen {
		f.wanted[channel] = session
	} else {
		delete(f.wanted, channel)
	}
	f.pending[channel] = listen
	f.mu.Unlock()
	f.wake()
}

func (f *Feed) wake() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// Run listens until ctx ends, over any number of connections. It has three goroutines: one that receives, one that sends
// subscriptions, one that probes.
func (f *Feed) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := f.serve(ctx)
		if ctx.Err() == nil && err != nil {
			f.reconnects.Add(1)
		}
	}
	return nil
}

// serve listens through one subscriber, which reconnects by itself, until it turns out to be deaf.
func (f *Feed) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	sub := f.rdb.Subscribe(ctx)
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })() // ends a blocked receive
	defer sub.Close()
	probe := prefix + "probe}:" + uuid.NewString()
	f.mu.Lock()
	clear(f.pending)
	for channel := range f.wanted {
		f.pending[channel] = true
	}
	f.mu.Unlock()
	f.unheard.Store(0)
	f.wake()
	listens := make(chan struct{}, 1)
	group.Go(func() error { return f.receive(ctx, sub, probe, listens) })
	group.Go(func() error { return f.send(ctx, sub) })
	group.Go(func() error { return f.probe(ctx, sub, probe, listens) })
	return group.Wait()
}

// receive hands everything over. After an error the subscriber has reconnected, or does so at the next call, and subscribes to
// all its channels again, whose confirmations arrive here. Only a probe proves that what is published arrives: a server that was
// replaced by another still confirms subscriptions.
func (f *Feed) receive(ctx context.Context, sub *redis.PubSub, probe string, listens chan<- struct{}) error {
	wait := feedBackoff
	for {
		v, err := sub.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			f.reconnects.Add(1)
			if !pause(ctx, wait) {
				return ctx.Err()
			}
			wait = min(2*wait, feedBackoffMax)
			continue
		}
		wait = feedBackoff
		f.hear(v, probe, listens)
	}
}

func (f *Feed) hear(v any, probe string, listens chan<- struct{}) {
	switch m := v.(type) {
	case *redis.Message:
		if m.Channel == probe {
			f.unheard.Store(0)
			f.heard.Store(int64(time.Since(f.born)))
		} else if session, ok := f.session(m.Channel); ok {
			f.handler.Message(session, []byte(m.Payload))
		}
	case *redis.Subscription:
		if m.Kind != "subscribe" {
			return
		}
		if m.Channel == probe {
			select {
			case listens <- struct{}{}:
			default: // the prober knows already
			}
		} else if session, ok := f.session(m.Channel); ok {
			f.handler.Confirmed(session)
		}
	}
}

func (f *Feed) session(channel string) (uuid.UUID, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	session, ok := f.wanted[channel]
	return session, ok
}

// send tells Redis what is pending, many channels at a time. A failure needs no repetition: the subscriber knows its channels.
func (f *Feed) send(ctx context.Context, sub *redis.PubSub) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.poke:
		}
		more, fewer := f.take()
		for ; len(fewer) > 0; fewer = fewer[min(feedChunk, len(fewer)):] {
			_ = sub.Unsubscribe(ctx, fewer[:min(feedChunk, len(fewer))]...)
		}
		for ; len(more) > 0; more = more[min(feedChunk, len(more)):] {
			_ = sub.Subscribe(ctx, more[:min(feedChunk, len(more))]...)
		}
	}
}

// take empties pending.
func (f *Feed) take() (more, fewer []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for channel, listen := range f.pending {
		if listen {
			more = append(more, channel)
		} else {
			fewer = append(fewer, channel)
		}
	}
	clear(f.pending)
	return more, fewer
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
