package eventlogtest

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
)

// on is the writer as another process, which shares nothing but Redis.
func (w *Writer) on(log *eventlog.Log) *Writer {
	other := w.Another()
	other.Log = log
	return other
}

// fails commits nothing; the error is told.
func (w *Writer) fails(t testing.TB, ask bool) error {
	t.Helper()
	c := w.Decides(Image(9, "too late"))
	c.AskTurn = ask
	_, err := w.Log.Commit(t.Context(), c)
	if err == nil {
		t.Fatal("a commit that should fail did not")
	}
	return err
}

func (s suite) turn(t *testing.T) {
	near, rdb := s.log(t, eventlog.Config{})
	far, _ := s.log(t, eventlog.Config{})
	first := Creates(t, near)
	late := first.on(far)
	first.Writes(t, Image(1, "one"))
	var conflict *eventlog.ConflictError
	if err := late.fails(t, false); !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	first.Writes(t, Image(2, "nobody asked for a turn yet"))
	if err := late.fails(t, true); !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	late.CatchesUp(t, conflict.Records)
	before := Dump(t, rdb, first.Session)

	var turn *eventlog.TurnError
	if err := first.fails(t, true); !errors.As(err, &turn) {
		t.Fatalf("error %v, want that it is another's turn", err)
	}
	if turn.Base != first.At || turn.Head != first.At || turn.Left <= 0 || turn.Left > time.Second {
		t.Errorf("%+v at %s", turn, first.At)
	}
	Same(t, before, Dump(t, rdb, first.Session))
	late.Writes(t, Image(3, "at last"))
	if err := first.fails(t, false); !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict: the turn ended with the commit", err)
	}
	first.CatchesUp(t, conflict.Records)
	first.Writes(t, Image(4, "again"))
}

func (s suite) turnOfAGroup(t *testing.T) {
	near, _ := s.log(t, eventlog.Config{})
	far, rdb := s.log(t, eventlog.Config{})
	first := Creates(t, near)
	late := first.on(far)
	first.Writes(t, Image(1, "one"))
	var conflict *eventlog.ConflictError
	if err := late.fails(t, true); !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	late.CatchesUp(t, conflict.Records)
	decided, commits := late.Another(), make([]eventlog.Commit, 3)
	for i := range commits {
		commits[i] = decided.Decides(Image(10+i, "one of a group"))
		decided.Took(commits[i])
	}

	for i, r := range far.CommitAll(t.Context(), commits) {
		if r.Err != nil {
			t.Errorf("commit %d: %v", i, r.Err)
		}
	}

	if held, err := rdb.HExists(t.Context(), Key(t, rdb, first.Session, "h"), "tn").Result(); held || err != nil {
		t.Errorf("the turn outlives the group: %t, %v", held, err)
	}
}

func (s suite) turnIsAHint(t *testing.T) {
	near, rdb := s.log(t, eventlog.Config{})
	far, _ := s.log(t, eventlog.Config{})
	w := Creates(t, near)
	for name, field := range map[string]string{
		"one that ended": "somebody " + strconv.FormatInt(time.Now().Add(-time.Minute).UnixMilli(), 10),
		"damaged":        "?",
		"lost":           "",
	} {
		late := w.on(far)
		w.Writes(t, Image(1, name))
		var conflict *eventlog.ConflictError
		if err := late.fails(t, true); !errors.As(err, &conflict) {
			t.Fatalf("%s: error %v, want a conflict", name, err)
		}

		must(t, rdb.HSet(t.Context(), Key(t, rdb, w.Session, "h"), "tn", field).Err())
		w.Writes(t, Image(2, name))

		if err := late.fails(t, false); !errors.As(err, &conflict) || conflict.Head != w.At {
			t.Errorf("%s: error %v, want a conflict", name, err)
		}
	}
	wants(t, verifies(t, near, w), nil)
}
