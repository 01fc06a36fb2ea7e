package presence_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
	"github.com/talus-tally/talus/services/edge/internal/presence"
)

// city is some sessions in a real Redis, and an ear on all their channels.
type city struct {
	t        *testing.T
	url      string
	log      *eventlog.Log
	sessions []uuid.UUID

	mu   sync.Mutex
	told map[uuid.UUID][]wire.EventName
	last map[uuid.UUID]wire.Presence
}

func newCity(t *testing.T, url string, sessions int) *city {
	t.Helper()
	rdb := dial(t, url)
	c := &city{t: t, url: url, log: eventlog.New(rdb, eventlog.Config{Lease: presence.Lease}),
		told: map[uuid.UUID][]wire.EventName{}, last: map[uuid.UUID]wire.Presence{}}
	for i := range sessions {
		id := uuid.New()
		if _, err := c.log.Create(t.Context(), id, eventlog.NewSession{Epoch: wire.Epoch(i + 1)}); err != nil {
			t.Fatal(err)
		}
		c.sessions = append(c.sessions, id)
	}
	ear := rdb.PSubscribe(t.Context(), "talus:*:c")
	if _, err := ear.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard := ear.Channel(redis.WithChannelSize(100_000))
	var listening sync.WaitGroup
	listening.Go(func() {
		for m := range heard {
			c.hears([]byte(m.Payload))
		}
	})
	t.Cleanup(func() { _ = ear.Close(); listening.Wait() })
	return c
}

func dial(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	opts, err := eventlog.Options(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewUniversalClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func (c *city) hears(payload []byte) {
	e, err := wire.ParseEphemeral(payload)
	if err != nil || !slices.Contains(c.sessions, e.Session) {
		return
	}
	who, err := wire.ParsePresence(e.Fields)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || who.Seq <= c.last[e.Session].Seq {
		c.t.Errorf("announced %s, %v, after %d", e.Fields, err, c.last[e.Session].Seq)
	}
	c.told[e.Session] = append(c.told[e.Session], e.Name)
	c.last[e.Session] = who
}

// gone is how often it was announced that somebody went, in all sessions, and in how many of them exactly once.
func (c *city) gone() (all, once int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, names := range c.told {
		n := 0
		for _, name := range names {
			if name == wire.SessionDisconnected {
				n++
			}
		}
		all += n
		if n == 1 {
			once++
		}
	}
	return all, once
}

// settles waits until each session was announced to have n clients, and checks that Redis says so, too.
func (c *city) settles(n int, within time.Duration) time.Duration {
	c.t.Helper()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		right := 0
		c.mu.Lock()
		for _, id := range c.sessions {
			if c.last[id].Count == uint64(n) {
				right++
			}
		}
		c.mu.Unlock()
		if right == len(c.sessions) {
			break
		}
		if time.Since(began) > within {
			c.t.Fatalf("%d of %d sessions have %d clients after %v", right, len(c.sessions), n, within)
		}
	}
	present, err := c.log.Present(context.Background(), c.sessions)
	for i, p := range present {
		if p.Clients != n {
			c.t.Errorf("session %d has %+v, %v, want %d clients", i, p, err, n)
		}
	}
	return time.Since(began)
}

// member is an edge with clients in every session of a city.
type member struct {
	stop context.CancelFunc
	done chan struct{}
	rdb  redis.UniversalClient
}

// moves in with some clients per session.
func (c *city) moves(clients int) *member {
	rdb := dial(c.t, c.url)
	p := presence.New(eventlog.New(rdb, eventlog.Config{Lease: presence.Lease}), prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{stop: cancel, done: make(chan struct{}), rdb: rdb}
	go func() {
		defer close(m.done)
		_ = p.Run(ctx)
	}()
	c.t.Cleanup(func() { m.stop(); <-m.done })
	for _, id := range c.sessions {
		room := p.Open(id, func(hub.News) {})
		for i := range clients {
			room.Enter(uuid.UUID(binary.BigEndian.AppendUint64(id[:8], uint64(i))))
		}
	}
	return m
}

// dies without a word: nothing of it reaches Redis any more.
func (m *member) dies() {
	_ = m.rdb.Close()
	m.stop()
	<-m.done
}

func TestFourSurvivorsAnnounceADeadEdgeOnceInEachSession(t *testing.T) {
	t.Parallel()
	city := newCity(t, redistest.Server(t).URL(), 1000)
	dead := city.moves(3)
	city.settles(3, 10*time.Second)
	for range 4 {
		city.moves(1)
	}
	city.settles(7, 10*time.Second)
	settle(presence.Lease + time.Second) // they may judge

	dead.dies()
	took := city.settles(4, 12*time.Second)

	settle(3 * time.Second) // a second announcement would have come
	if all, once := city.gone(); all != len(city.sessions) || once != len(city.sessions) {
		t.Errorf("%d sessions: announced gone %d times, once in %d", len(city.sessions), all, once)
	}
	if took > 10*time.Second {
		t.Errorf("gone after %v", took)
	}
	t.Logf("%d sessions, 4 survivors: all announced once, %v after the death", len(city.sessions), took.Round(time.Millisecond))
}

func TestAPauseOfRedisAnnouncesNobodyGone(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{7 * time.Second, 10 * time.Second} {
		t.Run(fmt.Sprint(pause), func(t *testing.T) {
			t.Parallel()
			server := redistest.Server(t)
			city := newCity(t, server.URL(), 50)
			for range 3 {
				city.moves(2)
			}
			city.settles(6, 10*time.Second)
			settle(presence.Lease + time.Second)

			if err := server.Pause(); err != nil {
				t.Fatal(err)
			}
			settle(pause)
			if err := server.Resume(); err != nil {
				t.Fatal(err)
			}
			settle(2 * presence.Lease)

			city.settles(6, 10*time.Second)
			if all, _ := city.gone(); all != 0 {
				t.Errorf("announced gone %d times", all)
			}
		})
	}
}

// settle lets real time pass: leases are Redis' and cannot be hurried.
func settle(d time.Duration) { <-time.After(d) }
