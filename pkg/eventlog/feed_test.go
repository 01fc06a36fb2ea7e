package eventlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
)

func TestAFeedThatWasCutConfirmsEverySessionAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	rdb := connects(t, server.URL())
	feed, ear := eventlogtest.Listens(t, rdb)
	sessions := make([]uuid.UUID, 2500)
	for i := range sessions {
		sessions[i] = uuid.New()
		feed.Add(sessions[i])
	}
	confirmed := func(times int) func() bool {
		return func() bool {
			for _, s := range sessions {
				if ear.Confirmations(s) < times {
					return false
				}
			}
			return true
		}
	}
	eventlogtest.Eventually(t, "all sessions confirmed", confirmed(1))

	for round := range 3 {
		if err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		eventlogtest.Eventually(t, fmt.Sprint("all confirmed after cut ", round+1), confirmed(round+2))
	}

	if feed.Reconnects() < 3 {
		t.Errorf("%d reconnects counted, want 3", feed.Reconnects())
	}
}

func TestAFeedComesBackWithItsRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	rdb := connects(t, server.URL())
	log := eventlog.New(rdb, eventlog.Config{})
	feed, ear := eventlogtest.Listens(t, rdb)
	w := eventlogtest.Creates(t, log)
	feed.Add(w.Session)
	eventlogtest.Eventually(t, "confirmation", func() bool { return ear.Confirmations(w.Session) == 1 })

	server.Kill()
	late := uuid.New()
	feed.Add(late)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}

	eventlogtest.Eventually(t, "confirmations after the restart", func() bool {
		return ear.Confirmations(w.Session) >= 2 && ear.Confirmations(late) >= 1
	})
	again := eventlogtest.Creates(t, log)
	feed.Add(again.Session)
	eventlogtest.Eventually(t, "confirmation of a new session", func() bool { return ear.Confirmations(again.Session) >= 1 })
	again.Writes(t, eventlogtest.Image(1, "heard"))
	eventlogtest.Eventually(t, "its message", func() bool { return len(ear.Heard(again.Session)) == 1 })
}

func TestAFeedThatHearsNothingConnectsAgain(t *testing.T) {
	t.Parallel()
	p := newProxy(t, redistest.Real(t))
	feed, ear := eventlogtest.Listens(t, connects(t, p.url()))
	session := uuid.New()
	feed.Add(session)
	eventlogtest.Eventually(t, "confirmation", func() bool { return ear.Confirmations(session) == 1 })

	p.deafen() // every open connection stays open and delivers nothing

	eventlogtest.Eventually(t, "confirmation on a new connection", func() bool { return ear.Confirmations(session) >= 2 })
}

// A server that was replaced by another still confirms subscriptions: that is no sign that what is published arrives.
func TestConfirmationsDoNotHideThatAFeedIsDeaf(t *testing.T) {
	t.Parallel()
	old, current := redistest.Server(t), redistest.Server(t)
	target := atomic.Pointer[string]{}
	addr := old.Addr()
	target.Store(&addr)
	opts, err := eventlog.Options(old.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, *target.Load())
	}
	rdb := redis.NewUniversalClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })
	feed, ear := eventlogtest.Listens(t, rdb)
	session := uuid.New()
	feed.Add(session)
	eventlogtest.Eventually(t, "confirmation", func() bool { return ear.Confirmations(session) == 1 })
	eventlogtest.Eventually(t, "ready", func() bool { return feed.Ready(t.Context()) == nil })
	before := feed.Reconnects()

	addr2 := current.Addr()
	target.Store(&addr2)
	if err := connects(t, old.URL()).ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err) // the feed's connection stays where it is, the pool's are made anew
	}
	began := time.Now()
	for feed.Reconnects() == before && time.Since(began) < 10*time.Second {
		feed.Add(uuid.New())
		<-time.After(50 * time.Millisecond)
	}

	t.Logf("found deaf after %v", time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a deaf feed was found after %v", took)
	}
	eventlogtest.Eventually(t, "confirmation by the current server", func() bool { return ear.Confirmations(session) >= 2 })
}

func TestAFeedIsReadyOnlyWhileItHearsItself(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	feed, _ := eventlogtest.Listens(t, connects(t, server.URL()))
	eventlogtest.Eventually(t, "ready", func() bool { return feed.Ready(t.Context()) == nil })

	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	eventlogtest.Eventually(t, "not ready", func() bool { return errors.Is(feed.Ready(t.Context()), eventlog.ErrUnavailable) })
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}

	eventlogtest.Eventually(t, "ready again", func() bool { return feed.Ready(t.Context()) == nil })
}

func TestTheClientsWordsGoToTheLog(t *testing.T) { // not parallel: it holds for the whole process
	var out bytes.Buffer
	var mu sync.Mutex
	eventlog.LogClient(slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(b)
	}), nil)))
	rdb := connects(t, "redis://127.0.0.1:1")

	_ = rdb.Ping(t.Context()) // nobody is there

	eventlogtest.Eventually(t, "a line in the log", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(out.String(), `msg="redis client" says="`)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
