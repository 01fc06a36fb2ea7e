package check_test

import (
	"slices"
	"testing"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// unlogged removes an entry of the log and all that shows it, and closes the gap: as if it had never been committed.
func unlogged(n int) func(*testing.T, history.Slice) history.Slice {
	return func(t *testing.T, h history.Slice) history.Slice {
		t.Helper()
		h[where(t, h, n, about(history.Log))].Actor = "nobody"
		return h
	}
}

func TestAnswersMustAgreeWithTheLog(t *testing.T) {
	t.Parallel()
	refused := answer(history.Cmd, history.Fail, "VERSION_CONFLICT")
	areFlagged(t, day, []flaw{
		{"an acknowledged command is not in the log", check.Acks, "is not in the log", unlogged(2)},
		{"an acknowledged command is in the log twice", check.Acks, "in the log 2 times", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 2, about(history.Log))].Actor = h[where(t, h, 1, about(history.Log))].Actor
			return h
		}},
		{"a refused command is in the log", check.Acks, "was refused", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 6, about(history.Log))].Actor = h[where(t, h, 0, refused)].Actor
			return h
		}},
		{"the answer names another version", check.Acks, "the answer says", edit(answer(history.Cmd, history.OK, ""), 2, func(l *history.Line) {
			p, _ := wire.ParsePosition(l.Position)
			p.Version++
			l.Position = p.String()
		})},
		{"the answer names another command", check.Acks, "says command other", edit(answer(history.Cmd, history.OK, ""), 2, func(l *history.Line) {
			l.Command = "other"
		})},
		{"a commit that nobody asked for", check.Acks, "nobody asked", func(t *testing.T, h history.Slice) history.Slice {
			op := h[where(t, h, 2, answer(history.Cmd, history.OK, ""))].Op
			return slices.DeleteFunc(h, func(l history.Line) bool { return l.Op == op })
		}},
	})
}

func TestARequestWithoutAnAnswerMayBeInTheLogOrNot(t *testing.T) {
	t.Parallel()
	for _, committed := range []bool{true, false} {
		w := newWorld(t)
		p := w.plan(1)
		l := p.op(history.Cmd)
		if committed {
			p.commit(l, "UpdateProperty", "c", renaming(p.root, "x"))
		}

		if v := judge(t, w.ends()); v.Flagged() {
			t.Errorf("committed %v: flagged %v", committed, v.Failed())
		}
	}
}

func TestRepeatsMustBeOne(t *testing.T) {
	t.Parallel()
	replay := func(l history.Line) bool { return l.Replayed }
	areFlagged(t, day, []flaw{
		{"it is in the log twice", check.Idempotency, "in the log 2 times", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 6, about(history.Log))].Actor = h[where(t, h, 0, replay)].Actor
			return h
		}},
		{"a repeat is no replay", check.Idempotency, "carried out twice", edit(replay, 1, func(l *history.Line) { l.Replayed = false })},
		{"the answers differ", check.Idempotency, "answered differently", edit(replay, 1, func(l *history.Line) { l.Reply = "else" })},
		{"another body is accepted", check.Idempotency, "two bodies", edit(answer(history.Cmd, history.Fail, "IDEMPOTENCY_CONFLICT"), 0, func(l *history.Line) {
			l.Kind, l.Code, l.Status, l.Replayed = history.OK, "", 200, true
		})},
		{"a repeat is decided again", check.Idempotency, "refused with NODE_NOT_FOUND", edit(replay, 1, func(l *history.Line) {
			l.Kind, l.Code, l.Status = history.Fail, "NODE_NOT_FOUND", 404
		})},
		{"If-Match is looked at before the key", check.Idempotency, "refused with VERSION_CONFLICT", edit(replay, 0, func(l *history.Line) {
			l.Kind, l.Code, l.Status = history.Fail, "VERSION_CONFLICT", 412
		})},
		{"a key is refused that was never used for anything else", check.Idempotency, "it never was", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 0, answer(history.Cmd, history.Fail, "IDEMPOTENCY_CONFLICT"))
			for j := range h {
				if h[j].Op == h[i].Op {
					h[j].Body = "b"
				}
			}
			return h
		}},
	})
}

func TestOrderMustFollowTime(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"what began later is earlier", check.RealTime, "had been seen", func(t *testing.T, h history.Slice) history.Slice {
			first, second := h[where(t, h, 1, about(history.Log))].Actor, h[where(t, h, 2, about(history.Log))].Actor
			for i := range h {
				switch {
				case h[i].F == history.Log && h[i].Actor == first:
					h[i].Actor = second
				case h[i].F == history.Log && h[i].Actor == second:
					h[i].Actor = first
				}
			}
			return h
		}},
		{"something was seen before it was asked for", check.RealTime, "had been seen", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 1, on("ann#1"))].T = 1
			return h
		}},
	})
}

func TestConditionsMustHold(t *testing.T) {
	t.Parallel()
	accepted := func(l history.Line) bool { return l.IfMatch != "" && l.Kind == history.OK }
	refused := answer(history.Cmd, history.Fail, "VERSION_CONFLICT")
	areFlagged(t, day, []flaw{
		{"a commit on another state", check.CAS, "was committed as version", edit(accepted, 0, func(l *history.Line) {
			p, _ := wire.ParsePosition(l.IfMatch)
			p.Digest[0]++
			l.IfMatch = p.String()
		})},
		{"a refusal of the head", check.CAS, "where the log ends", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 0, refused)].IfMatch = h[where(t, h, 0, about(history.LogEnd))].Position
			return h
		}},
		{"a refusal before anybody else asked", check.CAS, "before the next commit was asked for", func(t *testing.T, h history.Slice) history.Slice {
			l := h[where(t, h, 0, accepted)]
			for i := range h {
				if h[i].Op == l.Op {
					h[i].T, h[i].Began = h[i].T+int64(1e9), h[i].Began+int64(1e9)
				}
			}
			return h
		}},
	})
}

func TestAnswersMustBeFresh(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"a read of an old state", check.Reads, "had been seen before it was asked for", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 0, about(history.Graph))].Position = h[where(t, h, 3, about(history.Log))].Position
			return h
		}},
		{"a read of a state that never was", check.Reads, "not in the log", edit(about(history.Get), 0, func(l *history.Line) {
			p, _ := wire.ParsePosition(l.Position)
			p.Digest[3]++
			l.Position = p.String()
		})},
		{"a refusal from an old state", check.Reads, "a node was not found", edit(answer(history.Cmd, history.Fail, "NODE_NOT_FOUND"), 0, func(l *history.Line) {
			l.Target = "01000000-0000-0000-0000-000000000001" // the root
		})},
		{"a graph that is another one", check.Convergence, "the graph that was answered", edit(about(history.Graph), 0, func(l *history.Line) {
			l.Hash = "1111111111111111"
		})},
	})
}
