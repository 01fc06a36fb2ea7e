package eventlogtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

func (s suite) versionsAreAChain(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	var wrote []wire.Record

	for i := range 5 {
		c := w.Decides(Image(i, "first"))
		w.Commits(t, c)
		wrote = append(wrote, c.Record)
	}

	tail, err := log.Read(t.Context(), w.Session, 0, 100)
	must(t, err)
	entries := tail.Records
	if len(entries) != 5 {
		t.Fatalf("%d records in the log, want 5", len(entries))
	}
	for i, e := range entries {
		if e.Record.Version != uint64(i+1) || !bytes.Equal(e.Record.Raw, wrote[i].Raw) || !e.Record.VerifyDelta(e.Delta) {
			t.Errorf("record %d is not what was committed", i+1)
		}
	}
}

func (s suite) headTells(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	project, template, saved := "a project", strings.Repeat("a long name ", 20), uint64(1)
	c := w.Decides(Image(1, "one"), Image(2, "two"))
	c.Meta = eventlog.HeadChange{Project: &project, Template: &template, Saved: &saved, Fields: map[string]string{"colour": "red"}}

	w.Commits(t, c)

	head, err := log.Head(t.Context(), w.Session)
	must(t, err)
	if head.Position != w.At || head.Count != 2 || head.Sum != w.Sum || head.Generation != 0 || head.Oldest != 1 {
		t.Errorf("head is %+v, want position %s, 2 nodes, sum %d", head, w.At, w.Sum)
	}
	if head.Project != project || head.Template != template || head.SavedVersion != 1 || head.Fields["colour"] != "red" {
		t.Errorf("head is %+v", head)
	}
	if head.CreatedAt.IsZero() || head.LastActivity.Before(head.CreatedAt) {
		t.Errorf("created %s, last used %s", head.CreatedAt, head.LastActivity)
	}
}

func (s suite) lateWriter(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	late := w.Another()
	w.Writes(t, Image(1, "one"))
	w.Writes(t, Image(2, "two"))
	before := Dump(t, rdb, w.Session)

	_, err := log.Commit(t.Context(), late.Decides(Image(1, "other")))

	var conflict *eventlog.ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	Same(t, before, Dump(t, rdb, w.Session))
	if conflict.Head != w.At || conflict.Base != late.At || len(conflict.Records) != 2 {
		t.Errorf("conflict %+v, want head %s and 2 records", conflict, w.At)
	}
	late.CatchesUp(t, conflict.Records)
	late.Writes(t, Image(1, "other"))
	wants(t, verifies(t, log, late), nil)
}

// verifies compares a writer with what is stored.
func verifies(t testing.TB, log *eventlog.Log, w *Writer) error {
	t.Helper()
	loaded, err := log.Load(t.Context(), w.Session)
	if err != nil {
		return err
	}
	if loaded.Head.Position != w.At || len(loaded.Images) != len(w.Nodes) {
		return fmt.Errorf("loaded %d nodes at %s, want %d at %s", len(loaded.Images), loaded.Head.Position, len(w.Nodes), w.At)
	}
	for id, image := range w.Nodes {
		if !bytes.Equal(loaded.Images[id], image) {
			return fmt.Errorf("node %s is %q, want %q", id, loaded.Images[id], image)
		}
	}
	return nil
}

func (s suite) otherBranch(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	w.Writes(t, Image(1, "one"))
	for name, base := range map[string]wire.Position{
		"equal version": {Epoch: w.At.Epoch, Version: 1, Digest: wire.Digest{1}},
		"lower version": {Epoch: w.At.Epoch, Version: 0, Digest: wire.Digest{1}},
		"ahead":         {Epoch: w.At.Epoch, Version: 9, Digest: w.At.Digest},
		"other epoch":   {Epoch: w.At.Epoch + 2, Version: 1, Digest: w.At.Digest},
	} {
		stray := w.Another()
		stray.At = base
		before := Dump(t, rdb, w.Session)

		_, err := log.Commit(t.Context(), stray.Decides(Image(2, name)))

		wants(t, err, eventlog.ErrForked)
		Same(t, before, Dump(t, rdb, w.Session))
	}
}

func (s suite) concurrentWriters(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	const writers, each = 8, 25
	first := Creates(t, log)
	var all sync.WaitGroup
	for n := range writers {
		w := first.Another()
		all.Go(func() {
			for i := range each {
				writesSometime(t, w, Image(n*each+i, "mine"))
			}
		})
	}
	all.Wait()

	tail, err := log.Read(t.Context(), first.Session, 0, writers*each+1)
	must(t, err)
	entries := tail.Records
	if len(entries) != writers*each {
		t.Fatalf("%d versions, want %d", len(entries), writers*each)
	}
	first.CatchesUp(t, entries)
	wants(t, verifies(t, log, first), nil)
}

// writesSometime commits against whatever the head is by then.
func writesSometime(t testing.TB, w *Writer, images ...wire.Image) {
	for range 10_000 {
		c := w.Decides(images...)
		_, err := w.Log.Commit(t.Context(), c)
		var conflict *eventlog.ConflictError
		switch {
		case err == nil:
			w.Took(c)
			return
		case errors.As(err, &conflict):
			w.CatchesUp(t, conflict.Records)
		default:
			t.Errorf("commit: %v", err)
			return
		}
	}
	t.Error("never came first")
}

func (s suite) group(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	decided := w.Another()
	commits := make([]eventlog.Commit, 6)
	for i := range commits {
		commits[i] = decided.Decides(Image(i, "one of a group"))
		decided.Took(commits[i])
	}
	commits[3].Stack, commits[3].Entry.Version = eventlog.StackUndo, 77 // there is no such entry

	results := log.CommitAll(t.Context(), commits)

	for i, r := range results {
		switch {
		case i < 3 && (r.Err != nil || r.Position != commits[i].Record.Position()):
			t.Errorf("commit %d: %v, %v", i, r.Position, r.Err)
		case i == 3:
			wants(t, r.Err, eventlog.ErrStackMoved)
		case i > 3 && r.Err == nil:
			t.Errorf("commit %d succeeded without its predecessor", i)
		}
	}
	for _, c := range commits[:3] {
		w.Took(c)
	}
	wants(t, verifies(t, log, w), nil)
}

func (s suite) manyValues(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	set, gone := make([]wire.Image, 9000), make([]wire.Image, 9000)
	for i := range set {
		set[i], gone[i] = Image(i, fmt.Sprint("node ", i)), Gone(i)
	}

	w.Writes(t, set...)

	wants(t, verifies(t, log, w), nil)
	gone[0] = Image(9000, "the one that stays")
	w.Writes(t, gone[:8999]...)
	wants(t, verifies(t, log, w), nil)
}

func (s suite) tooLarge(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	many := make([]wire.Image, 20_001)
	for i := range many {
		many[i] = Image(i, "")
	}
	before := Dump(t, rdb, w.Session)

	_, tooMany := log.Commit(t.Context(), w.Decides(many...))
	_, tooBig := log.Commit(t.Context(), w.Decides(Image(1, strings.Repeat("x", 33<<20))))
	stranger := w.Decides(Image(1, "one"))
	stranger.Session = uuid.New()
	_, notMine := log.Commit(t.Context(), stranger)

	wants(t, tooMany, eventlog.ErrTooLarge)
	wants(t, tooBig, eventlog.ErrTooLarge)
	if notMine == nil {
		t.Error("a record was committed to another session")
	}
	Same(t, before, Dump(t, rdb, w.Session))
}
