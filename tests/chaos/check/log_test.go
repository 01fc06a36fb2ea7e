package check_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// rewritten replaces a text in the frame of a log entry, as if it had been committed so.
func rewritten(n int, old, with string) func(*testing.T, history.Slice) history.Slice {
	return func(t *testing.T, h history.Slice) history.Slice {
		t.Helper()
		l := &h[where(t, h, n, about(history.Log))]
		if !bytes.Contains(l.Raw, []byte(old)) {
			t.Fatalf("no %s in %s", old, l.Raw)
		}
		l.Raw = bytes.ReplaceAll(l.Raw, []byte(old), []byte(with))
		return h
	}
}

func TestTheLogMustBeContiguous(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"an entry is missing", check.Contiguous, "does not follow", without(about(history.Log), 3)},
		{"the first is missing", check.Contiguous, "nobody said that it was trimmed", without(about(history.Log), 0)},
		{"the last is missing", check.Contiguous, "the head is", without(about(history.Log), 7)},
		{"it is on another branch", check.Contiguous, "does not follow", edit(about(history.Log), 4, func(l *history.Line) {
			l.Prev = "00000000000000ff"
		})},
		{"a version is there with two contents", check.Contiguous, "was another commit before", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 3, about(history.Log))
			h = double(h, i)
			h[i+1].Payload = "ffffffffffffffff"
			return h
		}},
		{"a command is in it twice", check.Contiguous, "in the log twice", edit(about(history.Log), 5, func(l *history.Line) {
			l.Command = "kept"
		})},
		{"it cannot be read", check.Contiguous, "could not be read: torn", edit(about(history.LogEnd), 0, func(l *history.Line) {
			l.Position, l.Text = "", "torn"
		})},
		{"an entry has no position", check.Contiguous, "no position", edit(about(history.Log), 0, func(l *history.Line) { l.Position = "" })},
	})
}

func TestTheGraphMustBeSoundAtEveryVersion(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"a link to nobody", check.Integrity, "cannot hang under", rewritten(1, `"parent_id":"01`, `"parent_id":"05`)},
		{"a node below itself", check.Integrity, "below itself", func(t *testing.T, h history.Slice) history.Slice {
			l := &h[where(t, h, 1, about(history.Log))]
			_, rest, _ := strings.Cut(string(l.Raw), `"parent_id":"`)
			_, child, _ := strings.Cut(rest, `"child_id":"`)
			return rewritten(1, `"parent_id":"`+rest[:36], `"parent_id":"`+child[:36])(t, h)
		}},
		{"a node that was not there", check.Integrity, "no node", rewritten(2, `"node_id":"01`, `"node_id":"07`)},
		{"a node that is not deleted with its parent", check.Integrity, "still hangs", rewritten(6, "graph:node-unlinked", "command:nothing")},
		{"two siblings with one key", check.Integrity, "shares its sort key", func(t *testing.T, h history.Slice) history.Slice {
			// a second root with the key of the first
			return rewritten(1, `{"event":"graph:node-linked"`, `{"event":"command:executed","data":{}},{"event":"command:executing"`)(t,
				rewritten(1, `"order":"c"`, `"order":"a"`)(t, h))
		}},
		{"an entry that cannot be read", check.Integrity, "cannot be read", edit(about(history.Log), 1, func(l *history.Line) { l.Raw = []byte(`[]`) })},
	})
}

func TestUndoAndRedoMustFollowTheModel(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"undo acts on another entry", check.UndoModel, "the top was version 3", rewritten(3, `"undone_version":3`, `"undone_version":2`)},
		{"undo gives back something else", check.UndoModel, "left graph", rewritten(3, `"plan"`, `"plum"`)},
		{"redo gives back something else", check.UndoModel, "left graph", rewritten(4, `"orchard"`, `"orchid"`)},
		{"a command does not empty redo", check.UndoModel, "nothing to act on", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 5, about(history.Log)) // an ordinary command: now a redo of what an earlier one should have emptied
			h[i].CommandType = "Redo"
			return rewritten(5, `"command_type":"UpdateProperty"`, `"command_type":"Redo"`)(t, h)
		}},
		{"the answer names another command", check.UndoModel, "acted on version 2", edit(answer(history.Undo, history.OK, ""), 0, func(l *history.Line) {
			l.Undone = &history.Step{Version: 2, Command: l.Undone.Command}
		})},
		{"the answer says that there is nothing to undo", check.UndoModel, "says undo false", edit(answer(history.Redo, history.OK, ""), 0, func(l *history.Line) {
			no := false
			l.UndoAvailable = &no
		})},
		{"an undo finds nothing and there is something", check.UndoModel, "found nothing to act on", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 1, answer(history.Redo, history.OK, ""))
			h[i].F, h[i-1].F = history.Undo, history.Undo
			return h
		}},
		{"a refusal for a top that is there", check.UndoModel, "where it is", edit(answer(history.Undo, history.Fail, "UNDO_TOP_CHANGED"), 0, func(l *history.Line) {
			l.ExpectTop = 2
		})},
		{"the stacks hold something else", check.UndoModel, "the model has 2", edit(about(history.State), 0, func(l *history.Line) {
			l.Stacks.Depth, l.Stacks.Redo = 1, l.Stacks.Undo[:1]
		})},
	})
}

func TestAStackIsAsDeepAsItIsConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.plan(1)
	for n := range byte(5) {
		p.creates(n + 1)
	}
	p.reads(history.State, func(l *history.Line) {
		l.Stacks = &history.Stack{Depth: 2, Undo: []history.Step{{Version: 6, Command: p.log[5].Command}, {Version: 5, Command: p.log[4].Command}}}
	})
	h := w.ends()

	for depth, want := range map[int]bool{2: true, 3: false} {
		v, err := check.Run(check.Config{Minimum: none(), UndoDepth: depth}, h)
		if err != nil || v.Result(check.UndoModel).Passed != want {
			t.Errorf("depth %d: %+v, %v", depth, v.Result(check.UndoModel), err)
		}
	}
}

func TestAnIncompleteCommitEndsTheFoldAndAWholeOneBeginsItAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.plan(1)
	p.creates(1)
	h := w.ends()
	i := where(t, h, 1, about(history.Log))
	h[i].Raw = fmt.Appendf(nil, `{"command_type":"LoadGraph","actor":%q,"events":[{"event":"project:loaded","data":{"graph":null}}]}`, h[i].Actor)

	v := judge(t, h)

	if v.Flagged() || v.Result(check.Integrity).Looked != 1 {
		t.Errorf("flagged %v, looked at %d versions", v.Failed(), v.Result(check.Integrity).Looked)
	}
}
