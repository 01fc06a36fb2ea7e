package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// still is a log that nobody writes to and a channel that always stands.
type still struct {
	at  wire.Position
	hub *hub.Hub
}

func (s *still) Heads(_ context.Context, sessions []uuid.UUID) []hub.Head {
	heads := make([]hub.Head, len(sessions))
	for i := range heads {
		heads[i].Position = s.at
	}
	return heads
}

func (s *still) Read(context.Context, uuid.UUID, uint64, int) ([]wire.Record, bool, error) {
	return nil, false, nil
}
func (s *still) Add(session uuid.UUID) { go s.hub.Confirmed(session) }
func (s *still) Remove(uuid.UUID)      {}

// counter is a client that counts.
type counter struct {
	started chan<- hub.Start
	seen    *atomic.Uint64
	done    chan<- struct{}
	all     uint64
}

func (c *counter) Start(at hub.Start) { c.started <- at }
func (c *counter) Deliver(uint64, []byte) {
	if c.seen.Add(1)%c.all == 0 {
		c.done <- struct{}{}
	}
}
func (c *counter) Event([]byte, hub.State) {}
func (c *counter) Own([]byte, hub.State)   {}
func (c *counter) ID() uuid.UUID           { return uuid.Nil }
func (c *counter) Ended(error)             {}

// after is the commit that changes one property, after a position.
func after(session uuid.UUID, at wire.Position) wire.Record {
	const own = `"node_id":"01a20dd5-b4a0-7874-a2f7-72c9fd971afc","property_id":"65bbe1d6-f093-6628-253a-40fcf4bb262b","old_value":"one","new_value":"two"`
	return wire.Build(wire.Header{Session: session, Epoch: at.Epoch, Version: at.Version + 1, Prev: at.Digest, Time: time.Now().UnixMilli()},
		[]byte(`"session_id":"`+session.String()+`","project_id":null,"timestamp":"2026-11-24T13:53:59.883Z","command_id":null,"command_type":"UpdateProperty","actor":null`),
		[]wire.Event{{Name: "command:executing"}, {Name: "graph:property-changed", Fields: []byte(own)}, {Name: "command:executed", Fields: []byte(`"success":true`)}}, nil)
}

// gather runs a hub with clients in one room.
func gather(b *testing.B, clients int) (*hub.Hub, *counter, hub.Start) {
	b.Helper()
	started := make(chan hub.Start, clients)
	c := &counter{started: started, seen: new(atomic.Uint64), all: uint64(clients)}
	all := make([]hub.Client, clients)
	for i := range all {
		all[i] = c
	}
	h := seat(b, hub.Config{}, all)
	var at hub.Start
	for range clients {
		at = <-started
	}
	return h, c, at
}

// seat runs a hub and sends clients into one room.
func seat(b *testing.B, cfg hub.Config, clients []hub.Client) *hub.Hub {
	b.Helper()
	log := &still{at: wire.Position{Epoch: 1, Version: 1, Digest: wire.Digest{1}}}
	h := hub.New(cfg, log, func(h *hub.Hub) hub.Feed { log.hub = h; return log }, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	for _, c := range clients {
		h.Join(uuid.Max, hub.After{}, hub.Native, c)
	}
	return h
}

// BenchmarkFanOut is one commit from the channel to the sockets of everybody: parse, check, splice, hand over.
func BenchmarkFanOut(b *testing.B) {
	for _, clients := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("subs=%d", clients), func(b *testing.B) {
			h, c, start := gather(b, clients)
			done := make(chan struct{}, 1)
			c.done = done
			at := start.Position
			b.ReportAllocs()
			for b.Loop() {
				rec := after(uuid.Max, at)
				at = rec.Position()
				h.Message(uuid.Max, rec.Raw)
				<-done
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients), "ns/delivery")
		})
	}
}

// BenchmarkReadAfter is what a connection that comes back pays for a thousand commits that are still in the ring.
func BenchmarkReadAfter(b *testing.B) {
	h, c, start := gather(b, 1)
	done := make(chan struct{}, 1)
	c.done = done
	const missed = 1000
	at := start.Position
	for range missed {
		rec := after(uuid.Max, at)
		at = rec.Position()
		h.Message(uuid.Max, rec.Raw)
		<-done
	}
	b.ReportAllocs()
	for b.Loop() {
		for v := start.Position.Version + 1; v <= at.Version; v++ {
			if start.Ring.Frame(v) == nil {
				b.Fatal("a commit is missing")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*missed), "ns/commit")
}

func TestARoomKeepsFewBytesOfAClient(t *testing.T) {
	t.Parallel()
	const most = 96
	bytes := unsafe.Sizeof(hub.Subscription{}) + unsafe.Sizeof(&hub.Subscription{})
	t.Logf("%4d  subscription, and its place in the room's list", bytes)
	if bytes > most {
		t.Errorf("%d bytes, more than %d", bytes, most)
	}
}
