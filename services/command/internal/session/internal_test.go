package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

// The small machines of this package are specified from the inside, where time is
// free and a leaked goroutine fails the test.

func TestALookIsSharedOnlyByThoseWhoAskedBeforeItBegan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var readings sync.WaitGroup
		b, reads := newBarrier(time.Minute, &readings), 0
		release := make(chan struct{})
		read := func(_ context.Context, l *look) {
			reads++
			l.began = uint64(reads)
			<-release
		}
		var all sync.WaitGroup
		ask := func(n int, want uint64) {
			for range n {
				all.Go(func() {
					if l, err := b.look(t.Context(), read); err != nil || l.began != want {
						t.Errorf("got look %v, %v, want %d", l, err, want)
					}
				})
			}
			synctest.Wait()
		}

		ask(1, 1)
		ask(20, 2) // while the first is in flight: one more for all of them
		release <- struct{}{}
		synctest.Wait()
		ask(5, 3) // while the second is in flight
		close(release)
		all.Wait()

		if reads != 3 {
			t.Errorf("%d looks, want 3", reads)
		}
	})
}

func TestWhoGivesUpALookHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var readings sync.WaitGroup
		b := newBarrier(time.Second, &readings)
		read := func(ctx context.Context, l *look) { <-ctx.Done(); l.err = unavailable(ctx.Err()) }
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go func() { _, _ = b.look(t.Context(), read) }()
		synctest.Wait()
		go func() { _, _ = b.look(t.Context(), read) }()
		synctest.Wait()

		_, err := b.look(impatient, read)

		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		readings.Wait()
	})
}

func TestAQueueKeepsOrderAndItsGoroutineEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var workers, all sync.WaitGroup
		q := queue{limit: 100, bytes: 1, group: &workers}
		var order []int
		for n := range 20 {
			all.Go(func() {
				if err := q.do(t.Context(), func(context.Context) { time.Sleep(time.Second); order = append(order, n) }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		workers.Wait()

		for n, got := range order {
			if n != got {
				t.Fatalf("order %v", order)
			}
		}
		if q.running || len(order) != 20 {
			t.Errorf("running %v after %v", q.running, order)
		}
	})
}

func TestAnAnswerIsReadBackAsItWasStored(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0190a000-0000-7000-8000-000000000001")
	p := wire.Position{Epoch: 1, Version: 2, Digest: wire.Digest{3}}
	for _, want := range []Result{
		{Position: p, Command: id, Type: "CreateNode", Node: id, UndoAvailable: true},
		{Position: p, Command: id, Type: "Redo", RedoAvailable: true, Undone: &Undone{Command: id, Type: "T", Version: 1, Actor: "ann"}},
	} {
		stored := appendAnswer(nil, &want)
		got, err := parseAnswer(stored)
		undone, wantUndone := got.Undone, want.Undone
		got.Undone, want.Undone = nil, nil
		want.Replayed, want.Dirty = true, true
		if err != nil || got.Node != want.Node || got.Position != want.Position || got.Command != want.Command || got.Type != want.Type ||
			got.UndoAvailable != want.UndoAvailable || got.RedoAvailable != want.RedoAvailable || !got.Replayed {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		if (undone == nil) != (wantUndone == nil) || (undone != nil && *undone != *wantUndone) {
			t.Errorf("got %+v, want %+v", undone, wantUndone)
		}
		for n := range stored {
			if _, err := parseAnswer(stored[:n]); err == nil {
				t.Errorf("the first %d bytes of %d were read", n, len(stored))
			}
		}
		if _, err := parseAnswer(append(stored, 0)); err == nil {
			t.Error("a byte too many was read")
		}
	}
}

func TestDerivedIDsDifferInEveryPart(t *testing.T) {
	t.Parallel()
	seen := map[uuid.UUID]bool{}
	for _, parts := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"", "ab", "c"}, {"a", "b", "d"}} {
		id := derived(parts[0], parts[1], parts[2])
		if seen[id] || id.Variant() != uuid.RFC4122 || id != derived(parts[0], parts[1], parts[2]) {
			t.Errorf("%v gives %v", parts, id)
		}
		seen[id] = true
	}
}

func TestErrorsSayWhatPeopleNeed(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"the session is at version 3":                                       &MatchError{Current: wire.Position{Version: 3}},
		"expected version 3 on top, but it is 4":                            &TopError{Expected: 3, Top: 4},
		"expected version 3 on top, but there is nothing left":              &TopError{Expected: 3},
		"the log begins at version 3":                                       &TrimmedError{Oldest: 3},
		"the position is not on the session's chain, which is at version 3": &AheadError{Head: wire.Position{Version: 3}},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err.Error(), want)
		}
	}
}

func TestAStateFollowsOnlyItsOwnChain(t *testing.T) {
	t.Parallel()
	node := &graph.Node{ID: uuid.MustParse("0190a000-0000-7000-8000-000000000001"), Type: "t", Name: "n", Order: graph.OrderKeys(1)[0]}
	image := graph.AppendImage(nil, node)
	base := wire.Position{Epoch: 1, Version: 4, Digest: wire.Digest{4}}
	entry := func(prev wire.Position, d wire.Delta) eventlog.LogEntry {
		delta := wire.AppendDelta(nil, d)
		h := wire.Header{Epoch: prev.Epoch, Version: prev.Version + 1, Prev: prev.Digest}
		return eventlog.LogEntry{Record: wire.Build(h, nil, nil, delta), Delta: delta}
	}
	good := wire.Delta{Count: 1, Sum: wire.ImageHash(node.ID, image), Images: []wire.Image{{Node: node.ID, Bytes: image}}}
	other, wrongSum, broken, next := base, good, good, good
	other.Digest[0]++
	wrongSum.Sum++
	broken.Images = []wire.Image{{Node: node.ID, Bytes: []byte("?")}}
	next.Generation++
	first := entry(base, good)
	forged := first
	forged.Delta = wire.AppendDelta(nil, wire.Delta{})

	for name, test := range map[string]struct {
		entries []eventlog.LogEntry
		follows bool
	}{
		"the next":             {[]eventlog.LogEntry{first}, true},
		"the next two":         {[]eventlog.LogEntry{first, entry(first.Record.Position(), good)}, true},
		"one that is known":    {[]eventlog.LogEntry{entry(wire.Position{Epoch: 1, Version: 2}, good), first}, true},
		"another branch":       {[]eventlog.LogEntry{entry(other, good)}, false},
		"a gap":                {[]eventlog.LogEntry{entry(first.Record.Position(), good)}, false},
		"another delta":        {[]eventlog.LogEntry{forged}, false},
		"a wrong checksum":     {[]eventlog.LogEntry{entry(base, wrongSum)}, false},
		"a node nobody reads":  {[]eventlog.LogEntry{entry(base, broken)}, false},
		"another generation":   {[]eventlog.LogEntry{entry(base, next)}, false},
		"a graph that is gone": {[]eventlog.LogEntry{entry(base, wire.Delta{Replaced: true})}, false},
	} {
		st := &state{pos: base, graph: graph.New(), identity: identity{project: node.ID}}
		s, err := st.steps(test.entries)
		if (err == nil) != test.follows || (err != nil && !errors.Is(err, errStale)) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			st.advance(s)
			last := test.entries[len(test.entries)-1].Record.Position()
			if st.pos != last || st.count != 1 || st.bytes != stored(image) || st.graph.Len() != 1 {
				t.Errorf("%s: the state is at %v with %d nodes", name, st.pos, st.graph.Len())
			}
		}
	}
}
