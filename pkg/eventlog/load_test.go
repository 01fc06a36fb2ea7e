package eventlog_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
)

// pause waits for the next commits to be due.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// TALUS_LOAD_REPEATS is how often the large session is loaded.
func TestASessionOf100000NodesLoadsExactlyUnder2000CommitsPerSecond(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short runs")
	}
	repeats := 2
	if text := os.Getenv("TALUS_LOAD_REPEATS"); text != "" {
		var err error
		if repeats, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	log := eventlog.New(connects(t, redistest.Real(t)), eventlog.Config{Retention: 2000, MinAge: time.Nanosecond})
	const nodes = 100_000
	w := staged(t, log, nodes)
	ctx, cancel := context.WithCancel(t.Context())
	began, first := time.Now(), w.At.Version
	from := first
	var writing sync.WaitGroup
	writing.Go(func() { writes(ctx, t, w, nodes) })
	defer writing.Wait()
	defer cancel()

	for range repeats {
		loaded, err := log.Load(t.Context(), w.Session) // it has compared count and checksum
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Head.Position.Version <= from {
			t.Error("the loaded graph is no newer than the one before")
		}
		from = loaded.Head.Position.Version
	}
	took := time.Since(began)
	cancel()
	writing.Wait()

	t.Logf("%d loads, %.0f ms each, %.0f commits/s", repeats, took.Seconds()*1000/float64(repeats), float64(w.At.Version-first)/took.Seconds())
	loaded, err := log.Load(t.Context(), w.Session)
	if err != nil || loaded.Head.Position != w.At || len(loaded.Images) != len(w.Nodes) {
		t.Fatalf("at rest: %d nodes at %s, %v, want %d at %s", len(loaded.Images), loaded.Head.Position, err, len(w.Nodes), w.At)
	}
	for id, image := range w.Nodes {
		if string(loaded.Images[id]) != string(image) {
			t.Fatalf("node %s differs", id)
		}
	}
}

// staged is a session of n nodes of about 400 bytes.
func staged(t testing.TB, log *eventlog.Log, n int) *eventlogtest.Writer {
	t.Helper()
	w := eventlogtest.Creates(t, log)
	filler := fmt.Sprintf("%380s", "")
	graph := func(yield func(wire.Image) bool) {
		for i := range n {
			if im := eventlogtest.Image(i, fmt.Sprint(i, filler)); !yield(im) {
				return
			}
		}
	}
	set, err := log.Stage(t.Context(), w.Session, graph)
	if err != nil {
		t.Fatal(err)
	}
	w.Commits(t, w.Switches(set))
	graph(func(im wire.Image) bool { w.Nodes[im.Node] = im.Bytes; return true })
	return w
}

// writes commits about 2,000 times a second: it changes, deletes and creates nodes all over the graph.
func writes(ctx context.Context, t *testing.T, w *eventlogtest.Writer, n int) {
	began := time.Now()
	for i := 0; ctx.Err() == nil; {
		due := int(time.Since(began).Seconds() * 2000)
		if i >= due {
			pause(ctx, 5*time.Millisecond)
			continue
		}
		commits := make([]eventlog.Commit, min(due-i, 256)) // who is behind sends more at once
		for k := range commits {
			commits[k] = w.Decides(eventlogtest.Image(i*7919%(n+n/10), fmt.Sprint("changed ", i)), eventlogtest.Gone((i*104729+1)%n))
			w.Took(commits[k])
			i++
		}
		for _, r := range w.Log.CommitAll(context.WithoutCancel(ctx), commits) {
			if r.Err != nil {
				t.Errorf("commit: %v", r.Err)
				return
			}
		}
	}
}
