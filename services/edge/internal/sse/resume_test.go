package sse_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

func TestAStreamGoesOnWhereTheClientStands(t *testing.T) {
	t.Parallel()
	e := serve(t, socket.Config{})
	plan := e.creates()
	var at []wire.Position
	for at = append(at, plan.at); len(at) < 8; at = append(at, plan.at) {
		plan.commits(1, "x")
	}
	head := plan.at
	forked, ahead, other := at[4], head, at[4]
	forked.Digest[0]++
	ahead.Version += 3
	other.Epoch++
	header := func(p wire.Position) string { return "Last-Event-ID: " + p.String() }
	for name, c := range map[string]struct {
		query, header string
		from          uint64 // the version before the first commit
		resumed       bool
		reason        string
	}{
		"nothing":            {"", "", 7, false, ""},
		"empty":              {"&last_event_id=&after=", "Last-Event-ID: ", 7, false, ""},
		"header":             {"", header(at[3]), 3, true, ""},
		"header at head":     {"", header(head), 7, true, ""},
		"from the beginning": {"", header(at[0]), 0, true, ""},
		"last_event_id":      {"&last_event_id=" + at[4].String(), "", 4, true, ""},
		"after":              {"&after=" + at[5].String(), "", 5, true, ""},
		"a bare version":     {"&after=2", "", 2, true, ""},
		"version and epoch":  {"&after=2&epoch=" + head.Epoch.String(), "", 2, true, ""},
		"the header is newer than the address": {
			"&after=" + at[1].String(), header(at[6]), 6, true, "",
		},
		"fork":              {"", header(forked), 7, false, "fork"},
		"ahead":             {"", header(ahead), 7, false, "ahead"},
		"another epoch":     {"", header(other), 7, false, "epoch"},
		"a version's epoch": {"&after=2&epoch=" + other.Epoch.String(), "", 7, false, "epoch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields := []string{}
			if c.header != "" {
				fields = append(fields, c.header)
			}

			l := e.listens(plan, c.query, fields...)

			if _, m := l.hears("joined"); m.Version != c.from || m.Position != at[c.from].String() || m.Resumed != c.resumed {
				t.Errorf("joined %+v, want version %d, resumed %v", m, c.from, c.resumed)
			}
			if c.reason != "" {
				if _, m := l.hears("resync"); m.Reason != c.reason || m.Position != head.String() || m.Session != plan.id {
					t.Errorf("resync %+v, want %s", m, c.reason)
				}
			}
			l.hearsCommits(c.from+1, head.Version)
			_ = l.conn.Close()
		})
	}
}

func TestAResumedStreamGoesOnLive(t *testing.T) {
	t.Parallel()
	e := serve(t, socket.Config{})
	plan := e.creates()
	plan.commits(3, "x")
	at := plan.at
	plan.commits(2, "x")

	ann := e.listens(plan, "", "Last-Event-ID: "+at.String())
	ann.hears("joined")
	plan.commits(3, "x")

	ann.hearsCommits(4, 8)
}

func TestAPositionThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	e := serve(t, socket.Config{})
	plan := e.creates()
	for _, c := range [][]string{
		{"", "Last-Event-ID: yesterday"}, {"&last_event_id=1.2.3"}, {"&after=-1"}, {"&after=1&epoch=zz"},
	} {
		if l := e.asks("session_id="+plan.id.String()+c[0], c[1:]...); l.res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q is answered %d", c, l.res.StatusCode)
		}
	}
}

// The second part of what a client misses comes from the ring, the first from the log; a WebSocket client has filled the
// ring before anybody read the format of streams.
func TestAStreamFromFarBehindReadsLogAndRing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		e := serve(t, cfg)
		plan := e.creates()
		start := plan.at
		plan.commits(150, "x")
		keeps := e.listens(plan, "") // the room opens at 150
		keeps.hears("joined")
		plan.commits(1150, "x") // more than the ring holds
		done := make(chan []string, 3)
		for range cap(done) {
			l := e.listens(plan, "", "Last-Event-ID: "+start.String())
			go func() {
				l.hears("joined")
				done <- l.hearsCommits(1, 1300)
			}()
		}

		keeps.hearsCommits(151, 1300)
		first := <-done
		for range cap(done) - 1 {
			if other := <-done; fmt.Sprint(other) != fmt.Sprint(first) {
				t.Error("two clients heard different commits")
			}
		}
	})
}

func TestATrimmedLogIsAResync(t *testing.T) {
	t.Parallel()
	e := serve(t, socket.Config{})
	e.log = eventlog.New(redistest.Client(t, redistest.URL(t)), eventlog.Config{Retention: 20, MinAge: time.Nanosecond})
	plan := e.creates()
	plan.commits(400, "x")
	head, err := e.log.Head(t.Context(), plan.id)
	if err != nil || head.Oldest < 10 {
		t.Fatalf("the log begins at %d (%v): the test shows nothing", head.Oldest, err)
	}

	near := e.listens(plan, "&after="+strconv.FormatUint(head.Oldest-1, 10))
	near.hears("joined")
	near.hearsCommits(head.Oldest, 400)
	far := e.listens(plan, "&after="+strconv.FormatUint(head.Oldest-2, 10))
	if _, m := far.hears("joined"); m.Resumed || m.Version != 400 {
		t.Errorf("joined %+v", m)
	}
	if _, m := far.hears("resync"); m.Reason != "trimmed" {
		t.Errorf("resync %+v", m)
	}
	plan.commits(1, "x")
	far.hearsCommits(401, 401)
}

func TestACommitThatIsTooLargeIsAResync(t *testing.T) {
	t.Parallel()
	e := serve(t, socket.Config{})
	plan := e.creates()
	ann := e.listens(plan, "")
	ann.hears("joined")

	plan.commits(1, string(make([]byte, 300_000))) // 1.8 MB as JSON

	if _, m := ann.hears("resync"); m.Reason != "large" || m.Version != 1 {
		t.Errorf("resync %+v", m)
	}
	plan.commits(1, "x")
	ann.hearsCommits(2, 2)
}
