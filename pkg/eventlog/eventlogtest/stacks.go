package eventlogtest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// steps commits a change of the stacks.
func steps(t testing.TB, w *Writer, op eventlog.StackOp, version uint64, payload string) {
	t.Helper()
	c := w.Decides()
	if op == eventlog.StackPush {
		version = c.Record.Version
	}
	c.Stack, c.Entry = op, eventlog.Entry{Version: version, Command: uuid.NewSHA1(uuid.Nil, []byte(fmt.Sprint(version))), Type: "MoveNode",
		Actor: "ann", Label: "moved it", Payload: []byte(payload)}
	w.Commits(t, c)
}

// stackIs compares the versions on both stacks, next first, with what is wanted, and the payloads of the tops.
func stackIs(t testing.TB, w *Writer, undo, redo []uint64, undoTop, redoTop string) {
	t.Helper()
	gotUndo, gotRedo, err := w.Log.Stacks(t.Context(), w.Session, 1000)
	must(t, err)
	versions := func(list []eventlog.Entry) (v []uint64) {
		for _, e := range list {
			v = append(v, e.Version)
		}
		return v
	}
	if u, r := fmt.Sprint(versions(gotUndo)), fmt.Sprint(versions(gotRedo)); u != fmt.Sprint(undo) || r != fmt.Sprint(redo) {
		t.Errorf("stacks are %s and %s, want %d and %d", u, r, undo, redo)
	}
	u, _, err := w.Log.UndoTop(t.Context(), w.Session)
	must(t, err)
	r, _, err := w.Log.RedoTop(t.Context(), w.Session)
	must(t, err)
	if string(u.Payload) != undoTop || string(r.Payload) != redoTop {
		t.Errorf("tops are %q and %q, want %q and %q", u.Payload, r.Payload, undoTop, redoTop)
	}
	head, err := w.Log.Head(t.Context(), w.Session)
	must(t, err)
	if head.UndoDepth != len(undo) || head.RedoDepth != len(redo) {
		t.Errorf("the head says %d and %d entries, want %d and %d", head.UndoDepth, head.RedoDepth, len(undo), len(redo))
	}
}

func (s suite) stacksMove(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	stackIs(t, w, nil, nil, "", "")

	for range 3 {
		steps(t, w, eventlog.StackPush, 0, fmt.Sprint("inverse of ", w.At.Version+1))
	}
	stackIs(t, w, []uint64{3, 2, 1}, nil, "inverse of 3", "")
	top, _, err := log.UndoTop(t.Context(), w.Session)
	must(t, err)
	if top.Type != "MoveNode" || top.Actor != "ann" || top.Label != "moved it" || top.Command == uuid.Nil {
		t.Errorf("the entry came back as %+v", top)
	}

	steps(t, w, eventlog.StackUndo, 3, "again 3")
	steps(t, w, eventlog.StackUndo, 2, "again 2")
	stackIs(t, w, []uint64{1}, []uint64{2, 3}, "inverse of 1", "again 2")

	steps(t, w, eventlog.StackRedo, 2, "new inverse of 2")
	stackIs(t, w, []uint64{2, 1}, []uint64{3}, "new inverse of 2", "again 3")

	steps(t, w, eventlog.StackNone, 0, "")
	stackIs(t, w, []uint64{2, 1}, []uint64{3}, "new inverse of 2", "again 3")

	steps(t, w, eventlog.StackPush, 0, "inverse of 8")
	stackIs(t, w, []uint64{8, 2, 1}, nil, "inverse of 8", "")

	steps(t, w, eventlog.StackClear, 0, "")
	stackIs(t, w, nil, nil, "", "")
}

func (s suite) stackMoved(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	steps(t, w, eventlog.StackPush, 0, "inverse")
	before := Dump(t, rdb, w.Session)
	for op, version := range map[eventlog.StackOp]uint64{eventlog.StackUndo: 2, eventlog.StackRedo: 1} {
		c := w.Decides(Image(1, "one"))
		c.Stack, c.Entry = op, eventlog.Entry{Version: version}

		_, err := log.Commit(t.Context(), c)

		wants(t, err, eventlog.ErrStackMoved)
	}
	Same(t, before, Dump(t, rdb, w.Session))
}

func (s suite) stacksAreBounded(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{UndoDepth: 3, UndoBytes: 1000})
	w := Creates(t, log)
	for range 5 {
		steps(t, w, eventlog.StackPush, 0, "small")
	}
	stackIs(t, w, []uint64{5, 4, 3}, nil, "small", "")

	steps(t, w, eventlog.StackPush, 0, string(bytes.Repeat([]byte("x"), 993)))
	stackIs(t, w, []uint64{6, 5}, nil, string(bytes.Repeat([]byte("x"), 993)), "")
	steps(t, w, eventlog.StackPush, 0, "the seventh")
	stackIs(t, w, []uint64{7}, nil, "the seventh", "")
	steps(t, w, eventlog.StackPush, 0, string(bytes.Repeat([]byte("x"), 1001)))
	stackIs(t, w, nil, nil, "", "")

	head, err := log.Head(t.Context(), w.Session)
	must(t, err)
	if head.UndoTruncated != 8 {
		t.Errorf("%d entries counted as dropped, want 8", head.UndoTruncated)
	}
	w.Writes(t, wire.Image{Node: uuid.New(), Bytes: []byte("still works")})
}
