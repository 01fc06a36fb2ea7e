package edge_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge"
)

// commitsUnheard appends a commit that is not published, as if Redis had lost the message.
func (s *session) commitsUnheard() {
	s.t.Helper()
	delta := wire.AppendDelta(nil, wire.Delta{})
	rec := wire.Build(wire.Header{
		Session: s.id, Command: uuid.New(), Epoch: s.at.Epoch, Version: s.at.Version + 1, Prev: s.at.Digest, Time: time.Now().UnixMilli(),
	}, []byte(`"session_id":"`+s.id.String()+`"`), nil, delta)
	at, err := s.log.Commit(s.t.Context(), eventlog.Commit{Session: s.id, Base: s.at, Record: rec, Delta: delta, Silent: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.at = at
}

// usual is the value that half of the times stay below. The bounds of the worst case are proved under fake time, in the hub and
// in the event log; on a real machine a single time says more about what else the machine does.
func usual(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func TestALostLastMessageIsFoundWithoutANewOne(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := plan.dial(e, "")
	read(t, ann)

	var found []time.Duration
	for range 15 {
		plan.commits(1) // heard
		commitsFrom(t, ann, plan.at.Version, plan.at.Version)
		<-time.After(rand.N(300 * time.Millisecond)) // at any moment of the head check
		plan.commitsUnheard()
		lost := time.Now()
		commitsFrom(t, ann, plan.at.Version, plan.at.Version)
		found = append(found, time.Since(lost))
	}

	if usual(found) > time.Second {
		t.Errorf("lost last messages are found after %v", found)
	}
}

func TestAWedgedFeedIsFound(t *testing.T) {
	t.Parallel()
	w := newWedge(t, redistest.Real(t))
	e, _ := serve(t, edge.Config{RedisURL: "redis://" + w.listener.Addr().String()})
	plan := creates(t, redistest.URL(t))
	ann := plan.dial(e, "")
	read(t, ann)

	var found []time.Duration
	for range 3 {
		before := metric(t, e, "talus_feed_reconnects_total")
		eventually(t, "there is a feed to wedge", w.wedge)
		began := time.Now()
		plan.commits(1) // is found by the head check meanwhile
		commitsFrom(t, ann, plan.at.Version, plan.at.Version)
		eventually(t, "the feed was given up", func() bool { return metric(t, e, "talus_feed_reconnects_total") > before })
		found = append(found, time.Since(began))
	}

	if usual(found) > 3*time.Second {
		t.Errorf("a wedged feed is found after %v", found)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for text := ""; !strings.Contains(text, "project:saved"); {
			_, frame, err := ann.Read(t.Context())
			if err != nil {
				return
			}
			text = string(frame)
		}
	}()
	eventually(t, "what has no version is heard again", func() bool { // what comes before the feed is back is lost
		if err := plan.log.Publish(t.Context(), wire.Ephemeral{Session: plan.id, Name: wire.ProjectSaved, Fields: []byte(`"saved_version":1`)}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
}

// metric is the value of a counter without labels.
func metric(t *testing.T, e *edge.Edge, name string) float64 {
	t.Helper()
	_, text := get(t, e.URL()+"/metrics")
	_, rest, _ := strings.Cut(text, "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// wedge is a proxy before a Redis that can make every connection which subscribes go deaf: it stays open, takes
// requests, and no byte comes back.
type wedge struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	conns []*wedged
	all   sync.WaitGroup
}

type wedged struct {
	client, server   net.Conn
	subscribes, deaf atomic.Bool
}

func newWedge(t *testing.T, url string) *wedge {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wedge{listener: l, target: opts.Addr}
	w.all.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		for _, c := range w.conns {
			c.close()
		}
		w.mu.Unlock()
		w.all.Wait()
	})
	return w
}

func (w *wedge) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &wedged{client: client, server: server}
		w.mu.Lock()
		w.conns = append(w.conns, c)
		w.mu.Unlock()
		w.all.Go(func() {
			c.copy(server, client, func(b []byte) bool {
				if bytes.Contains(b, []byte("subscribe\r\n")) {
					c.subscribes.Store(true)
				}
				return true
			})
		})
		w.all.Go(func() { c.copy(client, server, func([]byte) bool { return !c.deaf.Load() }) })
	}
}

func (c *wedged) copy(to, from net.Conn, pass func([]byte) bool) {
	defer c.close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if !pass(buf[:n]) {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (c *wedged) close() { _ = c.client.Close(); _ = c.server.Close() }

// wedge makes the feed's connection deaf; false if there is none that has subscribed since the last one went deaf.
func (w *wedge) wedge() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := false
	for _, c := range w.conns {
		if c.subscribes.Load() && c.deaf.CompareAndSwap(false, true) {
			found = true
		}
	}
	return found
}
