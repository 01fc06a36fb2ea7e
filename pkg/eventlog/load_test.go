package eventlog_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

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
	past := history{first: w.At.Version, graph: graphHash(maps.All(w.Nodes)), nodes: maps.Clone(w.Nodes)}
	ctx, cancel := context.WithCancel(t.Context())
	began, from := time.Now(), w.At.Version
	var writing sync.WaitGroup
	writing.Go(func() { past.changes = writes(ctx, t, w, nodes) })
	defer writing.Wait()
	defer cancel()

	graphs := map[uint64][4]uint64{} // by the version they were loaded at
	for range repeats {
		loaded, err := log.Load(t.Context(), w.Session) // it has compared count and checksum
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Head.Position.Version <= from {
			t.Error("the loaded graph is no newer than the one before")
		}
		from = loaded.Head.Position.Version
		graphs[from] = graphHash(maps.All(loaded.Images))
	}
	took := time.Since(began)
	cancel()
	writing.Wait()

	t.Logf("%d loads, %.0f ms each, %.0f commits/s", repeats, took.Seconds()*1000/float64(repeats), float64(len(past.changes))/took.Seconds())
	loaded, err := log.Load(t.Context(), w.Session)
	if err != nil || loaded.Head.Position != w.At || len(loaded.Images) != len(w.Nodes) {
		t.Fatalf("at rest: %d nodes at %s, %v, want %d at %s", len(loaded.Images), loaded.Head.Position, err, len(w.Nodes), w.At)
	}
	graphs[w.At.Version] = graphHash(maps.All(loaded.Images))
	past.compare(t, graphs)
}

// graphHash is a hash of nodes in any order: the sum of a hash of each.
func graphHash(nodes iter.Seq2[uuid.UUID, []byte]) (sum [4]uint64) {
	for id, image := range nodes {
		sum = plus(sum, id, image, 1)
	}
	return sum
}

// plus counts a node in, with sign 1, or out, with its complement.
func plus(sum [4]uint64, id uuid.UUID, image []byte, sign uint64) [4]uint64 {
	h := sha256.Sum256(append(id[:], image...))
	for i := range sum {
		sum[i] += sign * binary.BigEndian.Uint64(h[8*i:])
	}
	return sum
}

// history is a graph at a version and what was committed after it, a list of images for each version.
type history struct {
	first   uint64
	graph   [4]uint64
	nodes   map[uuid.UUID][]byte
	changes [][]wire.Image
}

// compare goes through the history and compares the graph at each version of which a hash is given.
func (h *history) compare(t *testing.T, graphs map[uint64][4]uint64) {
	t.Helper()
	compared := 0
	for i, images := range h.changes {
		for _, im := range images {
			if old, ok := h.nodes[im.Node]; ok {
				h.graph = plus(h.graph, im.Node, old, ^uint64(0))
				delete(h.nodes, im.Node)
			}
			if im.Bytes != nil {
				h.graph = plus(h.graph, im.Node, im.Bytes, 1)
				h.nodes[im.Node] = im.Bytes
			}
		}
		if got, loaded := graphs[h.first+uint64(i)+1]; loaded {
			compared++
			if got != h.graph {
				t.Errorf("the graph that was loaded at version %d is another one", h.first+uint64(i)+1)
			}
		}
	}
	if compared != len(graphs) {
		t.Errorf("%d of %d loaded graphs are of a version that was committed", compared, len(graphs))
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

// writes commits about 2,000 times a second: it changes, deletes and creates nodes all over the graph. It returns the images of
// each commit.
func writes(ctx context.Context, t *testing.T, w *eventlogtest.Writer, n int) (made [][]wire.Image) {
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
			made = append(made, commits[k].Images)
			i++
		}
		for _, r := range w.Log.CommitAll(context.WithoutCancel(ctx), commits) {
			if r.Err != nil {
				t.Errorf("commit: %v", r.Err)
				return made
			}
		}
	}
	return made
}
