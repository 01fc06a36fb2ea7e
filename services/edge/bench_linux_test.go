package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge"
)

// protocol is a way to follow a session over a WebSocket.
type protocol struct {
	name   string
	target string // %s is the session
	says   []string
	joined string // in the text that ends the joining
	once   string // in the text of each commit, once
}

func protocols() []protocol {
	const socketIO = "/socket.io/?EIO=4&transport=websocket"
	return []protocol{
		{"native", "/ws?session_id=%s", nil, `"event":"session:connected"`, `{"type":"commit",`},
		{"socketio", socketIO, []string{`40/graph,{"session_id":"%s"}`}, `["session:connected"`, `["command:executed"`},
		{"shipped", socketIO, []string{`40/graph,`, `42/graph,["join_session",{"session_id":"%s"}]`}, `["joined"`, `["command-executed"`},
	}
}

// BenchmarkClients is one commit of three events, the change of a property, that reaches 500 clients of a real edge over
// loopback: the CPU time of this process for each of them, from the commit in Redis on. It has the clients' half in it,
// which is the same for all protocols; Socket.IO's frames are longer, as each event is a packet with the common members.
func BenchmarkClients(b *testing.B) {
	for _, p := range protocols() {
		b.Run(p.name, func(b *testing.B) {
			const clients = 500
			c := crowd(b, p)
			c.add(clients)
			c.commit()
			bytes := c.bytes.Load()
			used := cpuTime()
			b.ReportAllocs()
			for b.Loop() {
				c.commit()
			}
			n := float64(b.N) * clients
			b.ReportMetric(float64(cpuTime()-used)/n, "cpu-ns/delivery")
			b.ReportMetric(float64(b.Elapsed())/n, "ns/delivery")
			b.ReportMetric(float64(c.bytes.Load()-bytes)/n, "B/delivery")
		})
	}
}

func TestAFurtherClientOfACommitAllocatesNothing(t *testing.T) { // not parallel: it counts the allocations of the process
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			const few, more, commits = 10, 200, 50
			c := crowd(t, p)
			perCommit := func() float64 {
				c.commit() // what is allocated once has been
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range commits {
					c.commit()
				}
				runtime.ReadMemStats(&after)
				return float64(after.Mallocs-before.Mallocs) / commits
			}
			c.add(few)
			alone := perCommit()
			c.add(more)
			together := perCommit()

			// What goes on beside, head checks and the lease, allocates a little, too.
			if each := (together - alone) / more; each > 0.2 {
				t.Errorf("%.0f allocations per commit with %d clients, %.0f with %d: %.2f for each further one", alone, few, together, few+more, each)
			}
		})
	}
}

// listeners are clients of one session of one edge who count commits.
type listeners struct {
	testing.TB
	protocol
	host    string
	log     *eventlog.Log
	session uuid.UUID
	at      wire.Position

	clients         int64
	goal            int64
	arrived, joined atomic.Int64
	bytes           atomic.Int64
}

// crowd runs an edge with a session that nobody follows yet.
func crowd(t testing.TB, p protocol) *listeners {
	t.Helper()
	redis := redistest.URL(t)
	e, err := edge.New(edge.Config{Addr: "127.0.0.1:0", RedisURL: redis, Drain: time.Second}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	c := &listeners{
		TB: t, protocol: p, host: strings.TrimPrefix(e.URL(), "http://"),
		log: eventlog.New(redistest.Client(t, redis), eventlog.Config{}), session: uuid.New(),
	}
	c.await("the edge is ready", func() bool {
		res, err := http.Get(e.URL() + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	head, err := c.log.Create(t.Context(), c.session, eventlog.NewSession{Epoch: 1, Genesis: wire.Digest{9}})
	if err != nil {
		t.Fatal(err)
	}
	c.at = head.Position
	return c
}

func (c *listeners) await(what string, ok func() bool) {
	c.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			c.Fatalf("did not happen: %s", what)
		}
	}
}

// add brings more clients in.
func (c *listeners) add(more int64) {
	c.Helper()
	for range more {
		conn := c.opens()
		c.Cleanup(func() { _ = conn.Close() })
		go c.count(conn) // until the connection is closed
	}
	c.clients += more
	c.await("all have joined", func() bool { return c.joined.Load() == c.clients })
}

// opens opens a WebSocket and says what is to be said.
func (c *listeners) opens() net.Conn {
	c.Helper()
	conn, err := net.Dial("tcp", c.host)
	if err != nil {
		c.Fatal(err)
	}
	target := strings.ReplaceAll(c.target, "%s", c.session.String())
	request := "GET " + target + " HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		c.Fatal(err)
	}
	for _, text := range c.says {
		text = strings.ReplaceAll(text, "%s", c.session.String())
		frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...) // masked with zeros
		if _, err := conn.Write(frame); err != nil {
			c.Fatal(err)
		}
	}
	return conn
}

// count reads until the connection ends.
func (c *listeners) count(conn net.Conn) {
	buf := make([]byte, 16<<10)
	var begun []byte // what was read before it had joined
	joined := false
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		c.bytes.Add(int64(n))
		if !joined {
			if begun = append(begun, buf[:n]...); bytes.Contains(begun, []byte(c.protocol.joined)) {
				joined, begun = true, nil
				c.joined.Add(1)
			}
			continue
		}
		c.arrived.Add(int64(bytes.Count(buf[:n], []byte(c.once))))
	}
}

// commit changes a property and waits until everybody knows.
func (c *listeners) commit() {
	c.Helper()
	node, delta := c.session.String(), wire.AppendDelta(nil, wire.Delta{})
	rec := wire.Build(wire.Header{
		Session: c.session, Command: uuid.New(), Epoch: c.at.Epoch, Version: c.at.Version + 1, Prev: c.at.Digest, Time: time.Now().UnixMilli(),
	}, fmt.Appendf(nil, `"session_id":"%s","project_id":"%s","timestamp":"2026-01-02T15:04:05.678Z","command_id":"%s","command_type":"UpdateProperty","actor":null`, node, node, node),
		[]wire.Event{
			{Name: wire.CommandExecuting},
			{Name: wire.PropertyChanged, Fields: fmt.Appendf(nil, `"node_id":"%s","property_id":"%s","property_name":"%s","old_value":"one","new_value":"two"`, node, node, node)},
			{Name: wire.CommandExecuted, Fields: []byte(`"success":true,"error":null,"result":{}`)},
		}, delta)
	at, err := c.log.Commit(context.Background(), eventlog.Commit{Session: c.session, Base: c.at, Record: rec, Delta: delta})
	if err != nil {
		c.Fatal(err)
	}
	c.at = at
	c.goal += c.clients
	c.await("everybody has the commit", func() bool { return c.arrived.Load() >= c.goal })
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
