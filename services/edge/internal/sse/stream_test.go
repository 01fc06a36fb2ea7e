package sse_test

import (
	"context"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// masks replaces what differs from run to run.
func masks(s *session, text string) string {
	for _, m := range []struct{ pattern, mask string }{
		{`Date: [A-Z][a-z]{2}, [^\r]+ GMT\r`, "Date: DATE\r"},
		{`"client_id":"[0-9a-f-]{36}"`, `"client_id":"CLIENT"`},
		{`retry: [1-2][0-9]{3}\n`, "retry: MS\n"},
		{s.id.String(), "SESSION"},
		{s.at.Epoch.String(), "EPOCH"},
		{`\.([0-9]+)\.[0-9a-f]{16}`, ".$1.DIGEST"},
		{`"prev":"[0-9a-f]{16}"`, `"prev":"DIGEST"`},
	} {
		text = regexp.MustCompile(m.pattern).ReplaceAllString(text, m.mask)
	}
	return text
}

const golden = "HTTP/1.1 200 OK\r\n" +
	"Date: DATE\r\n" +
	"Content-Type: text/event-stream\r\n" +
	"X-Before: kept\r\n" +
	"Cache-Control: no-store\r\n" +
	"X-Accel-Buffering: no\r\n" +
	"Connection: close\r\n" +
	"\r\n" +
	"retry: MS\n" +
	"id: EPOCH.1.DIGEST\n" +
	"event: joined\n" +
	`data: {"type":"joined","session_id":"SESSION","client_id":"CLIENT","epoch":"EPOCH","version":1,"position":"EPOCH.1.DIGEST","client_count":1,"resumed":false}` + "\n\n" +
	"id: EPOCH.2.DIGEST\n" +
	"event: commit\n" +
	`data: {"type":"commit","session_id":"SESSION","epoch":"EPOCH","version":2,"position":"EPOCH.2.DIGEST","prev":"DIGEST","events":[{"event":"command:executed","data":{"pad":"x"}}]}` + "\n\n" +
	"event: event\n" +
	`data: {"type":"event","session_id":"SESSION","timestamp":"1970-01-01T00:00:00.000Z","event":"command:failed","data":{"code":"X"}}` + "\n\n" +
	"event: closed\n" +
	`data: {"type":"closed","session_id":"SESSION","code":"INVALID_SESSION","close_code":4004,"message":"Session not found: SESSION","retryable":false}` + "\n\n"

func TestTheBytesOfAStream(t *testing.T) {
	t.Parallel()
	for _, request := range []string{
		"GET /sse?session_id=%s HTTP/1.1\r\nHost: t\r\n\r\n",
		"GET /sse?session_id=%s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"GET /sse?session_id=%s HTTP/1.0\r\n\r\n",
		"GET /sse?session_id=%s HTTP/1.1\r\nHost: t\r\n\r\nGET /and-more-that-nobody-reads HTTP/1.1\r\n\r\n",
	} {
		t.Run(strings.Fields(request)[2], func(t *testing.T) {
			t.Parallel()
			e := serve(t, socket.Config{})
			plan := e.creates()
			plan.commits(1, "x")
			l := e.dial(strings.Replace(request, "%s", plan.id.String(), 1))
			var got strings.Builder
			reads := func(until string) {
				t.Helper()
				for !strings.Contains(got.String(), until) {
					line, err := l.in.ReadString('\n')
					if got.WriteString(line); err != nil {
						t.Fatalf("%v after\n%s", err, got.String())
					}
				}
			}

			reads("event: joined\n")
			plan.commits(1, "x")
			reads("event: commit\n")
			if err := e.log.Publish(t.Context(), wire.Ephemeral{Session: plan.id, Name: wire.CommandFailed, Fields: []byte(`"code":"X"`)}); err != nil {
				t.Fatal(err)
			}
			reads("event: event\n")
			if err := e.log.Delete(t.Context(), plan.id, nil); err != nil {
				t.Fatal(err)
			}
			reads("event: closed\n")
			if _, err := l.in.WriteTo(&got); err != nil {
				t.Error(err)
			}

			if text := masks(plan, got.String()); text != golden {
				t.Errorf("got\n%s\nwant\n%s", text, golden)
			}
		})
	}
}

// onBoth runs a test on polled connections and on those with goroutines of their own.
func onBoth(t *testing.T, test func(t *testing.T, cfg socket.Config)) {
	t.Helper()
	for _, blocking := range []bool{false, true} {
		t.Run("blocking="+strconv.FormatBool(blocking), func(t *testing.T) {
			t.Parallel()
			test(t, socket.Config{Blocking: blocking})
		})
	}
}

func TestAStreamAndAWebSocketCarryTheSameCommits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		e := serve(t, cfg)
		plan := e.creates()
		ws, _, err := websocket.Dial(t.Context(), "ws://"+e.addr+"/ws?session_id="+plan.id.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ws.CloseNow() }()
		reads := func() string {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for {
				_, text, err := ws.Read(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(text), `"event":"session:`) {
					return string(text)
				}
			}
		}
		reads() // joined
		ann := e.listens(plan, "")
		if _, m := ann.hears("joined"); m.Count != 2 {
			t.Errorf("%d clients", m.Count)
		}
		ben := e.listens(plan, "")
		ben.hears("joined")

		plan.commits(150, strings.Repeat("pad", 500))
		toAnn, toBen := ann.hearsCommits(1, 150), ben.hearsCommits(1, 150)

		for i := range toAnn {
			if text := reads(); text != toAnn[i] || text != toBen[i] {
				t.Fatalf("commit %d differs:\n%s\n%s\n%s", i+1, text, toAnn[i], toBen[i])
			}
		}
	})
}

func TestAnIdleStreamBeats(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		cfg.BeatEvery = 40 * time.Millisecond
		e := serve(t, cfg)
		plan := e.creates()
		ann := e.listens(plan, "")
		joined, _ := ann.hears("joined") // the first beat may come before it

		eventually(t, "three beats", func() bool { return e.sockets.Stats().Pings >= 3 })
		plan.commits(1, "x")

		ev, _ := ann.hears("commit")
		if comments := joined.comments + ev.comments; comments < 3 {
			t.Errorf("%d comments came before the commit", comments)
		}
	})
}

func TestClientsThatGoLeaveNothing(t *testing.T) { // not parallel: it counts goroutines
	e := serve(t, socket.Config{})
	plan := e.creates()
	e.listens(plan, "").conn.Close()
	eventually(t, "the first is gone", func() bool { return e.sockets.Stats().Connections == 0 })
	before := runtime.NumGoroutine()

	var people []*listener
	for range 20 {
		people = append(people, e.listens(plan, ""))
		people[len(people)-1].hears("joined")
	}
	idle := runtime.NumGoroutine()
	plan.commits(2, "x")
	clients := func() int {
		n, err := e.log.Clients(t.Context(), plan.id)
		if err != nil {
			t.Fatal(err)
		}
		return n[plan.id]
	}
	eventually(t, "20 are counted", func() bool { return clients() == 20 })
	for _, l := range people {
		_ = l.conn.Close()
	}

	if idle > before+8 {
		t.Errorf("%d goroutines became %d with 20 streams", before, idle)
	}
	eventually(t, "nothing is left", func() bool {
		return e.sockets.Stats().Connections == 0 && e.metric("talus_subscriptions") == 0 && clients() == 0 && runtime.NumGoroutine() <= idle
	})
	if began, ended := e.metric("talus_sse_streams_total"), e.metric("talus_sse_closes_total"); began < 20 || ended != 21 {
		t.Errorf("%v streams began, %v ended", began, ended)
	}
}

// A client that goes before the room has answered is no client of the room.
func TestAClientThatGoesWhileItJoinsLeavesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, cfg socket.Config) {
		e := serve(t, cfg)
		plan := e.creates()
		for range 50 {
			l := e.dial("GET /sse?session_id=" + plan.id.String() + " HTTP/1.1\r\nHost: t\r\n\r\n")
			_ = l.conn.Close()
		}

		eventually(t, "all have come and gone", func() bool {
			s := e.sockets.Stats()
			return s.Opened == 50 && s.Connections == 0 && e.metric("talus_subscriptions") == 0
		})
	})
}

func TestAStreamOverAnyHTTPClient(t *testing.T) {
	t.Parallel()
	e := serve(t, socket.Config{})
	plan := e.creates()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.addr+"/sse?session_id="+plan.id.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()

	h := res.Header
	if res.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" ||
		h.Get("X-Accel-Buffering") != "no" || len(res.TransferEncoding) > 0 || res.ContentLength >= 0 || !res.Close {
		t.Errorf("answer %+v", res)
	}
}
