package eventlog_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
)

// proxy passes bytes to a Redis and back. It can swallow the next reply and cut that connection, so that a client cannot know
// what became of its command.
type proxy struct {
	listener net.Listener
	target   string
	swallow  atomic.Int32 // replies to be lost
	blocked  atomic.Bool  // no reply at all comes through
	lost     atomic.Int32 // replies lost
	deaf     atomic.Int32 // connections opened before this many get no more replies, and stay open
	opened   atomic.Int32
	drop     atomic.Int32 // requests to be lost

	all sync.WaitGroup
}

func newProxy(t *testing.T, url string) *proxy {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: opts.Addr}
	ctx, cancel := context.WithCancel(context.Background())
	p.all.Go(func() { p.accept(ctx) })
	t.Cleanup(func() { cancel(); _ = l.Close(); p.all.Wait() })
	return p
}

func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() }

func (p *proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		closeBoth := func() { _ = client.Close(); _ = server.Close() }
		stop := context.AfterFunc(ctx, closeBoth)
		p.all.Go(func() { p.requests(server, client); closeBoth() })
		number := p.opened.Add(1)
		p.all.Go(func() { p.replies(client, server, number); closeBoth(); stop() })
	}
}

// deafen lets no reply through on the connections that there are.
func (p *proxy) deafen() { p.deaf.Store(p.opened.Load()) }

func (p *proxy) requests(server, client net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil || p.drop.Add(-1) >= 0 {
			return
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) replies(client, server net.Conn, number int32) {
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if number <= p.deaf.Load() {
			continue
		}
		if p.blocked.Load() || p.swallow.Add(-1) >= 0 {
			p.lost.Add(1)
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// through is a log whose connections go through a proxy, and a writer who has written something.
func through(t *testing.T, cfg eventlog.Config, change func(*redis.UniversalOptions)) (*proxy, *eventlog.Log, *eventlogtest.Writer) {
	t.Helper()
	p := newProxy(t, redistest.Real(t))
	opts, err := eventlog.Options(p.url())
	if err != nil {
		t.Fatal(err)
	}
	change(opts)
	rdb := redis.NewUniversalClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })
	log := eventlog.New(rdb, cfg)
	w := eventlogtest.Creates(t, log)
	w.Writes(t, eventlogtest.Image(1, "one"))
	return p, log, w
}

func TestACommitWhoseAnswerIsLostIsCommittedOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*redis.UniversalOptions){
		"client without retries": func(*redis.UniversalOptions) {},
		"client with retries":    func(o *redis.UniversalOptions) { o.MaxRetries = 3 },
	} {
		for _, keyed := range []bool{false, true} {
			p, log, w := through(t, eventlog.Config{}, change)
			c := w.Decides(eventlogtest.Image(2, "two"))
			if keyed {
				c.Key = &eventlog.IdempotencyKey{Key: "k", Fingerprint: [16]byte{1}, Answer: []byte("answer")}
			}
			p.lost.Store(0)
			p.swallow.Store(1)

			w.Commits(t, c)

			if p.lost.Load() != 1 {
				t.Fatalf("%s: %d replies were lost, want 1", name, p.lost.Load())
			}
			tail, err := log.Read(t.Context(), w.Session, 0, 10)
			if err != nil || len(tail.Records) != 2 {
				t.Errorf("%s, key %t: %d commits in the log, want 2, %v", name, keyed, len(tail.Records), err)
			}
		}
	}
}

func TestACommitThatNeverArrivedIsCommittedOnce(t *testing.T) {
	t.Parallel()
	p, log, w := through(t, eventlog.Config{}, func(*redis.UniversalOptions) {})
	p.drop.Store(1)

	w.Writes(t, eventlogtest.Image(2, "two"))

	if tail, err := log.Read(t.Context(), w.Session, 0, 10); err != nil || len(tail.Records) != 2 {
		t.Errorf("%d commits in the log, want 2, %v", len(tail.Records), err)
	}
}

func TestAGroupWhoseAnswersAreLostIsCommittedOnce(t *testing.T) {
	t.Parallel()
	p, log, w := through(t, eventlog.Config{}, func(*redis.UniversalOptions) {})
	commits := make([]eventlog.Commit, 8)
	for i := range commits {
		commits[i] = w.Decides(eventlogtest.Image(i, "in a group"))
		w.Took(commits[i])
	}
	p.swallow.Store(1)

	results := log.CommitAll(t.Context(), commits)

	for i, r := range results {
		if r.Err != nil || r.Position != commits[i].Record.Position() {
			t.Errorf("commit %d: %s, %v", i, r.Position, r.Err)
		}
	}
	if tail, err := log.Read(t.Context(), w.Session, 0, 100); err != nil || len(tail.Records) != 9 {
		t.Errorf("%d commits in the log, want 9, %v", len(tail.Records), err)
	}
}

func TestAnAnswerThatCannotBeFoundOutIsUnknown(t *testing.T) {
	t.Parallel()
	p, _, w := through(t, eventlog.Config{Resolve: 200 * time.Millisecond}, func(*redis.UniversalOptions) {})
	c := w.Decides(eventlogtest.Image(2, "two"))
	p.blocked.Store(true)

	_, err := w.Log.Commit(t.Context(), c)

	if !errors.Is(err, eventlog.ErrUnknown) || !errors.Is(err, eventlog.ErrUnavailable) {
		t.Fatalf("error %v, want unknown", err)
	}
	p.blocked.Store(false)
	w.Commits(t, c) // the same commit again finds itself
	w.Writes(t, eventlogtest.Image(3, "three"))
	if tail, err := w.Log.Read(t.Context(), w.Session, 0, 10); err != nil || len(tail.Records) != 3 {
		t.Errorf("%d commits in the log, want 3, %v", len(tail.Records), err)
	}
}
