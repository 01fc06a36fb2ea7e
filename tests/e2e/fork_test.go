package e2e_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// loss is a way in which a Redis comes back with less than it had. Keep is called at the moment whose state survives,
// lose when more has been committed.
type loss struct {
	url  string
	keep func()
	lose func()
}

// Each takes acknowledged commits away and leaves another future open.
var losses = []struct {
	name  string
	start func(*testing.T) loss
}{
	{"an old dump is restored", oldDump},
	{"the tail of the append-only file is cut", cutTail},
	{"a replica that lags is promoted", laggingReplica},
}

// Whatever Redis loses, everybody learns that the branch is dead, with a reason, and nobody stays on it: sockets that are
// open, clients that come back, and both writers with the graph in memory.
func TestNobodyStaysOnABranchThatRedisLost(t *testing.T) {
	t.Parallel()
	for _, c := range losses {
		for _, grown := range []int{0, 3, 5} { // commits of the new branch before anybody comes back, against 3 lost
			t.Run(c.name, func(t *testing.T) { t.Parallel(); losesABranch(t, c.start(t), grown) })
		}
	}
}

func losesABranch(t *testing.T, redis loss, grown int) {
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2, RedisURL: redis.url})
	plan := sys.NewPlan()
	ann := sys.JoinsVia("ann", plan, sys.Edge(0), sys.Command(0))
	ben := sys.JoinsVia("ben", plan, sys.Edge(1), sys.Command(1))
	cid := sys.JoinsVia("cid", plan, sys.Edge(1), sys.Command(1))
	ann.Creates("house", "plan")
	ben.Creates("garden", "plan")
	redis.keep()
	ann.Creates("roof", "house")
	ben.Creates("pond", "garden")
	ben.Creates("fish", "pond")
	for _, p := range []*harness.Person{ann, ben, cid} {
		p.Sees("fish")
	}
	dead := cid.Position()
	cid.Leaves()

	redis.lose()
	for _, p := range []*harness.Person{ann, ben} {
		if f := p.Gets("a resync", func(f harness.Frame) bool { return f.Type == "resync" }); f.Reason != "fork" || f.Version != dead.Version-3 {
			t.Errorf("resync to %d because of %q, want %d and fork", f.Version, f.Reason, dead.Version-3)
		}
		p.Fetch()
	}
	for i := range grown {
		[]*harness.Person{ann, ben}[i%2].Creates("new "+string(rune('a'+i)), "house")
	}
	cid.Reconnects(sys.Edge(0))
	want := "fork"
	if grown < 3 {
		want = "ahead"
	}
	if f := cid.Gets("a resync", func(f harness.Frame) bool { return f.Type == "resync" }); f.Reason != want {
		t.Errorf("the one who came back was told %q, want %q", f.Reason, want)
	}
	cid.Fetch()
	ann.Creates("wall", "garden") // both writers go on, on the branch that survived
	ben.Creates("gate", "wall")

	for _, p := range []*harness.Person{ann, ben, cid} {
		p.Sees("gate")
		p.SameGraphAs(ann)
		if p.Knows("roof") || p.Knows("fish") || !p.Knows("garden") {
			t.Error("somebody has a part of the branch that was lost")
		}
		if p.Gone() {
			t.Error("somebody was disconnected")
		}
	}
	if graphOf(t, sys.Command(0).URL, plan.ID).Hash() != ann.Hash() || graphOf(t, sys.Command(1).URL, plan.ID).Hash() != ann.Hash() {
		t.Error("a writer has another graph than the clients")
	}
}

func TestAFlushSendsEverybodyAway(t *testing.T) {
	t.Parallel()
	redis := redistest.Server(t)
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1, RedisURL: redis.URL()})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	ann.Creates("house", "plan")
	ann.Sees("house")

	if err := redistest.Client(t, redis.URL()).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	if code := ann.IsClosed(); code != 4004 {
		t.Errorf("closed with %d, want 4004", code)
	}
	ann.MayNot("INVALID_SESSION", "CreateNode", map[string]any{"blueprint_type_id": "thing"})
	a := harness.Must(t, http.StatusOK, http.MethodGet, sys.Edge(0).URL+"/metrics", nil)
	if !strings.Contains(string(a.Body), "\ntalus_sessions_lost_total 1\n") {
		t.Error("the loss was not counted")
	}
	again := harness.Dial(t, sys.Edge(0), "?session_id="+plan.ID+"&after="+ann.Position().String())
	again.Want("error", "")
	if code := again.CloseCode(); code != 4004 {
		t.Errorf("the one who came back was closed with %d, want 4004", code)
	}
}

func oldDump(t *testing.T) loss {
	server := redistest.Server(t)
	dump := filepath.Join(server.Dir, "dump.rdb")
	var kept []byte
	return loss{
		url: server.URL(),
		keep: func() {
			must(t, redistest.Client(t, server.URL()).Save(t.Context()).Err())
			var err error
			kept, err = os.ReadFile(dump)
			must(t, err)
		},
		lose: func() {
			server.Kill()
			must(t, os.WriteFile(dump, kept, 0o600))
			must(t, server.Restart())
		},
	}
}

func cutTail(t *testing.T) loss {
	server := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always")
	var size int64
	file := func() string {
		path, err := server.AOF()
		must(t, err)
		return path
	}
	return loss{
		url: server.URL(),
		keep: func() {
			info, err := os.Stat(file())
			must(t, err)
			size = info.Size()
		},
		lose: func() {
			server.Kill()
			must(t, os.Truncate(file(), size+10)) // in the middle of what came next
			must(t, server.Restart())
		},
	}
}

func laggingReplica(t *testing.T) loss {
	primary, replica := redistest.Server(t), redistest.Server(t)
	rdb := redistest.Client(t, replica.URL())
	host, port, err := net.SplitHostPort(primary.Addr())
	must(t, err)
	must(t, rdb.SlaveOf(t.Context(), host, port).Err())
	door := newDoor(t, primary.Addr())
	return loss{
		url: "redis://" + door.listener.Addr().String(),
		keep: func() {
			from := redistest.Client(t, primary.URL())
			harness.Eventually(t, "the replica has everything", func() bool {
				return strings.Contains(rdb.Info(t.Context(), "replication").Val(), "master_link_status:up") &&
					offset(t, from, "master_repl_offset") == offset(t, rdb, "slave_repl_offset")
			})
			must(t, rdb.SlaveOf(t.Context(), "no", "one").Err()) // from here on it misses what is acknowledged
		},
		lose: func() { door.point(replica.Addr()) },
	}
}

// offset is how far a server is in the stream of replication.
func offset(t *testing.T, rdb redis.UniversalClient, field string) string {
	t.Helper()
	_, rest, _ := strings.Cut(rdb.Info(t.Context(), "replication").Val(), "\n"+field+":")
	value, _, _ := strings.Cut(rest, "\r")
	return value
}

// door is an address behind which another server can be put, as a fail-over does.
type door struct {
	listener net.Listener

	mu     sync.Mutex
	target string
	conns  []net.Conn
	all    sync.WaitGroup
}

func newDoor(t *testing.T, target string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	d := &door{listener: l, target: target}
	d.all.Go(d.accept)
	t.Cleanup(func() { _ = l.Close(); d.point(""); d.all.Wait() })
	return d
}

// point closes what is open and leads new connections to another server.
func (d *door) point(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = target
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.conns = nil
}

func (d *door) accept() {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", d.target)
		if err != nil {
			_ = client.Close()
		} else {
			d.conns = append(d.conns, client, server)
			d.all.Go(func() { pipe(client, server) })
			d.all.Go(func() { pipe(server, client) })
		}
		d.mu.Unlock()
	}
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // ends when either side does
	_, _ = to.Close(), from.Close()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
