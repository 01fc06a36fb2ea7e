package eventlogtest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

func fromFresh() wire.Position {
	n := Fresh()
	return wire.Position{Epoch: n.Epoch, Digest: n.Genesis}
}

func (s suite) retention(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{Retention: 100, MinAge: time.Nanosecond})
	w := Creates(t, log)
	positions := []wire.Position{w.At}
	for range 400 {
		positions = append(positions, w.Writes(t, Image(1, "again")))
	}

	head, err := log.Head(t.Context(), w.Session)
	must(t, err)
	if kept := 401 - head.Oldest; kept < 100 || kept > 100+64 {
		t.Fatalf("the log keeps %d of 400 commits, want 100 to 164", kept)
	}
	tail, err := log.Read(t.Context(), w.Session, head.Oldest-1, 1000)
	must(t, err)
	entries := tail.Records
	if uint64(len(entries)) != 401-head.Oldest || head.LogBytes != size(entries) {
		t.Errorf("%d records of %d bytes, the head says %d of %d", len(entries), size(entries), 401-head.Oldest, head.LogBytes)
	}
	var trimmed *eventlog.TrimmedError
	if _, err = log.Read(t.Context(), w.Session, head.Oldest-2, 10); !errors.As(err, &trimmed) || trimmed.Oldest != head.Oldest {
		t.Errorf("reading after a trimmed version: %v, want trimmed at %d", err, head.Oldest)
	}
	if _, err = log.ReadFrom(t.Context(), w.Session, positions[5], 10); !errors.As(err, &trimmed) {
		t.Errorf("reading from a trimmed position: %v", err)
	}
	tail, err = log.ReadFrom(t.Context(), w.Session, positions[head.Oldest-1], 10)
	if err != nil || len(tail.Records) != 10 || tail.Records[0].Record.Version != head.Oldest {
		t.Errorf("the position before the oldest record is proved by that one: %v", err)
	}
	stray := positions[head.Oldest-1]
	stray.Digest[0]++
	_, err = log.ReadFrom(t.Context(), w.Session, stray, 10)
	wants(t, err, eventlog.ErrForked)
	late := w.Another()
	late.At = positions[3]
	_, err = log.Commit(t.Context(), late.Decides(Image(1, "late")))
	var conflict *eventlog.ConflictError
	if !errors.As(err, &conflict) || conflict.Head != w.At || conflict.Records != nil {
		t.Errorf("a writer that missed trimmed records: %v", err)
	}
}

func size(entries []eventlog.LogEntry) (bytes uint64) {
	for _, e := range entries {
		bytes += uint64(len(e.Record.Raw) + len(e.Delta))
	}
	return bytes
}

func (s suite) ageAndBytes(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{Retention: 10, MinAge: time.Hour, MaxLogBytes: 300_000})
	all, _ := s.log(t, eventlog.Config{Retention: 0, MinAge: time.Nanosecond, MaxLogBytes: 1})
	w, kept := Creates(t, log), Creates(t, all)
	for range 200 {
		w.Writes(t, Image(1, "young"))
		kept.Writes(t, Image(1, "kept for ever"))
	}
	oldest := func(w *Writer) eventlog.Head {
		head, err := w.Log.Head(t.Context(), w.Session)
		must(t, err)
		return head
	}
	if oldest(w).Oldest != 1 || oldest(kept).Oldest != 1 {
		t.Fatalf("trimmed to %d and %d", oldest(w).Oldest, oldest(kept).Oldest)
	}

	for range 200 {
		w.Writes(t, Image(1, strings.Repeat("large", 1000)))
	}

	if head := oldest(w); head.Oldest == 1 || head.LogBytes > 300_000+64*11_000 {
		t.Errorf("the log begins at %d and has %d bytes", head.Oldest, head.LogBytes)
	}
}

func (s suite) positions(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	positions := []wire.Position{w.At}
	for i := range 6 {
		positions = append(positions, w.Writes(t, Image(i, "x")))
	}
	for i, p := range positions {
		tail, err := log.ReadFrom(t.Context(), w.Session, p, 3)
		if err != nil || len(tail.Records) != min(3, 6-i) || tail.Head != w.At {
			t.Errorf("from version %d: %d records, head %s, %v", i, len(tail.Records), tail.Head, err)
		}
		if err == nil && i < 6 && !tail.Records[0].Record.Follows(p) {
			t.Errorf("from version %d: the first record does not follow", i)
		}
		forked := p
		forked.Digest[7]++
		_, err = log.ReadFrom(t.Context(), w.Session, forked, 3)
		wants(t, err, eventlog.ErrForked)
		other := p
		other.Epoch++
		_, err = log.ReadFrom(t.Context(), w.Session, other, 3)
		wants(t, err, eventlog.ErrEpoch)
	}
	ahead := positions[6]
	ahead.Version++
	_, err := log.ReadFrom(t.Context(), w.Session, ahead, 3)
	wants(t, err, eventlog.ErrAhead)
	_, err = log.Read(t.Context(), w.Session, 7, 3)
	wants(t, err, eventlog.ErrAhead)
	none, err := log.Read(t.Context(), w.Session, 6, 3)
	if err != nil || len(none.Records) != 0 {
		t.Errorf("after the head: %d records, %v", len(none.Records), err)
	}
}

func (s suite) load(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	wants(t, verifies(t, log, w), nil)
	for i := range 300 {
		w.Writes(t, Image(i%100, fmt.Sprint("content ", i)), Gone((i+50)%100))
	}

	wants(t, verifies(t, log, w), nil)
}

func (s suite) loadWhileWriting(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{Retention: 50, MinAge: time.Nanosecond})
	w := Creates(t, log)
	var nodes []wire.Image
	for i := range 5000 {
		nodes = append(nodes, Image(i, fmt.Sprint("first ", i)))
	}
	w.Writes(t, nodes...)
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				w.Writes(t, Image(i*37%6000, fmt.Sprint("later ", i)), Gone((i*91+1)%6000))
			}
		}
	})

	for range 5 {
		if _, err := log.Load(t.Context(), w.Session); err != nil {
			t.Errorf("load: %v", err) // it has compared count and checksum
		}
	}
	close(done)
	writing.Wait()

	wants(t, verifies(t, log, w), nil)
}

func (s suite) loadTorn(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	w.Writes(t, Image(1, "one"), Image(2, "two"))
	nodes := Key(t, rdb, w.Session, "n:0")

	must(t, rdb.HSet(t.Context(), nodes, string(nodeID(1)), "another").Err())
	_, changed := log.Load(t.Context(), w.Session)
	reopen(rdb, Key(t, rdb, w.Session, "h"))
	must(t, rdb.HDel(t.Context(), nodes, string(nodeID(1))).Err())
	_, lost := log.Load(t.Context(), w.Session)
	reopen(rdb, Key(t, rdb, w.Session, "h"))
	must(t, rdb.HSet(t.Context(), nodes, "no id", "x").Err())
	_, odd := log.Load(t.Context(), w.Session)

	wants(t, changed, eventlog.ErrTorn)
	wants(t, lost, eventlog.ErrTorn)
	wants(t, odd, eventlog.ErrTorn)
}

func (s suite) staged(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	w.Writes(t, Image(1, "one"), Image(2, "two"))
	late := w.Another()
	graph := func(yield func(wire.Image) bool) {
		for i := range 1234 {
			if !yield(Image(i+100, fmt.Sprint("staged ", i))) {
				return
			}
		}
	}
	first, err := log.Stage(t.Context(), w.Session, graph)
	must(t, err)
	staged, err := log.Stage(t.Context(), w.Session, graph)
	must(t, err)
	if staged.Generation == first.Generation || staged.Count != 1234 {
		t.Fatalf("staged %+v and %+v", first, staged)
	}
	name := Key(t, rdb, w.Session, fmt.Sprint("n:", staged.Generation))
	if rdb.PTTL(t.Context(), name).Val() <= 0 {
		t.Error("what nobody switches in would stay for ever")
	}
	w.Writes(t, Image(3, "three")) // what is committed meanwhile does not matter

	var conflict *eventlog.ConflictError
	if _, err := log.Commit(t.Context(), late.Switches(staged)); !errors.As(err, &conflict) {
		t.Fatalf("a late switch: %v", err)
	}
	w.Commits(t, w.Switches(staged))
	graph(func(im wire.Image) bool { w.Nodes[im.Node] = im.Bytes; return true })

	wants(t, verifies(t, log, w), nil)
	if rdb.PTTL(t.Context(), name).Val() > 0 {
		t.Error("the live nodes would expire")
	}
	w.Writes(t, Image(5000, "after"), Gone(101))
	wants(t, verifies(t, log, w), nil)
	for name := range Keys(t, rdb, w.Session) {
		if strings.HasSuffix(name, "n:0") {
			t.Error("the nodes before are still there")
		}
	}
	must(t, rdb.HDel(t.Context(), Key(t, rdb, w.Session, fmt.Sprint("n:", first.Generation)), string(nodeID(100))).Err())
	_, err = log.Commit(t.Context(), w.Switches(first))
	wants(t, err, eventlog.ErrStaged)
}

func (s suite) largeReads(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	large := strings.Repeat("x", 1<<20)
	for i := range 20 {
		w.Writes(t, Image(i%3, large))
	}
	w.Writes(t, Image(0, "small"))

	at, reads := uint64(0), 0
	for more := true; more; reads++ {
		tail, err := log.Read(t.Context(), w.Session, at, 1000)
		must(t, err)
		if size := size(tail.Records); len(tail.Records) == 0 || size > 6<<20 {
			t.Fatalf("%d records of %d bytes in one read", len(tail.Records), size)
		}
		for _, e := range tail.Records {
			if at++; e.Record.Version != at {
				t.Fatalf("version %d, want %d", e.Record.Version, at)
			}
		}
		more = tail.More()
	}
	if at != 21 || reads < 4 {
		t.Errorf("%d versions in %d reads, want 21 in some", at, reads)
	}
	loaded, err := log.Load(t.Context(), w.Session)
	if err != nil || loaded.Head.Position != w.At {
		t.Errorf("loaded at %v, %v", loaded.Head.Position, err)
	}
}
