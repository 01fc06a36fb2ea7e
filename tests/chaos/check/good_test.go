package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// none is how much a check must look at in these tests.
func none() map[check.ID]int {
	all := check.Minimums()
	for id := range all {
		all[id] = 0
	}
	return all
}

// judge checks a history whatever its size.
func judge(t testing.TB, h history.Slice) check.Verdict {
	t.Helper()
	v, err := check.Run(check.Config{Minimum: none()}, h)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// day is a history with a little of everything, in two sessions.
func day(t testing.TB) history.Slice {
	w := newWorld(t)
	garden, house := w.plan(1), w.plan(2)
	w.add(history.Line{F: history.Usage, Node: "edge", Mark: history.Start, Figures: map[string]float64{"go_goroutines": 40}})
	w.mark(history.Start, "seed 7")
	garden.joins("ann", "ann#1", wire.Position{})
	ben := garden.joins("ben", "ben#1", wire.Position{})
	house.joins("cas", "cas#1", wire.Position{})
	for _, name := range []string{"ann#1", "ben#1"} {
		w.add(history.Line{F: history.Presence, Session: garden.id, Conn: name, Event: "session:connected", Subject: "b", Count: 2, Seq: 2})
	}
	house.creates(9)

	tree := garden.creates(1) // 2
	garden.stacks(t)          // 3 renames, 4 undoes, 5 does it again
	garden.conditions(t)      // 6
	garden.leaves(ben)
	garden.does(history.Cmd, "DeleteNode", // 7
		event("graph:node-unlinked", `{"parent_id":%q,"child_id":%q,"order":null}`, garden.root, tree), event("graph:node-deleted", `{"node_id":%q,"id":%q}`, tree, tree))
	late := garden.op(history.Cmd, func(l *history.Line) { l.Target = tree })
	garden.answered(late, history.Fail, func(l *history.Line) { l.Status, l.Code = 404, "NODE_NOT_FOUND" })
	away := garden.log[6]
	again := garden.joins("ben", "ben#2", ben.pos)
	garden.gets(again, away)
	garden.repeats() // 8
	garden.reads(history.Graph)
	garden.reads(history.Get)
	return w.ends()
}

// stacks renames the root, takes that back and does it again; then the stacks are read.
func (p *plan) stacks(t testing.TB) {
	t.Helper()
	_, renamed := p.does(history.Cmd, "UpdateProperty", renaming(p.root, "orchard"))
	top := p.pos.Version
	yes, no := true, false
	on := &history.Step{Version: top, Command: renamed}
	undo := p.op(history.Undo, func(l *history.Line) { l.ExpectTop = top })
	p.commit(undo, "Undo", renamed, renaming(p.root, "plan"), event("command:undo", `{"undone_version":%d}`, top))
	p.done(undo, "u", func(l *history.Line) { l.Undone, l.UndoAvailable, l.RedoAvailable = on, &yes, &yes })
	refused := p.op(history.Undo, func(l *history.Line) { l.ExpectTop = top })
	p.answered(refused, history.Fail, func(l *history.Line) { l.Status, l.Code, l.Position = 409, "UNDO_TOP_CHANGED", p.pos.String() })
	redo := p.op(history.Redo)
	p.commit(redo, "Redo", renamed, renaming(p.root, "orchard"), event("command:redo", `{"redone_version":%d}`, top))
	p.done(redo, "r", func(l *history.Line) { l.Undone, l.UndoAvailable, l.RedoAvailable = on, &yes, &no })
	idle := p.op(history.Redo)
	p.answered(idle, history.OK, func(l *history.Line) { l.Idle, l.Status, l.Position = true, 200, p.pos.String() })
	p.reads(history.State, func(l *history.Line) {
		l.Stacks = &history.Stack{Depth: 2, Undo: []history.Step{{Version: top, Command: renamed}, {Version: top - 1, Command: p.log[top-2].Command}}}
	})
}

// conditions commits once on a state that two have seen.
func (p *plan) conditions(t testing.TB) {
	t.Helper()
	seen := func(l *history.Line) { l.IfMatch = p.pos.String() }
	first, second := p.op(history.Cmd, seen), p.op(history.Cmd, seen)
	p.commit(first, "UpdateProperty", "cas", renaming(p.root, "yard"))
	p.done(first, "cas")
	p.answered(second, history.Fail, func(l *history.Line) { l.Status, l.Code, l.Position = 412, "VERSION_CONFLICT", p.pos.String() })
}

// repeats sends one request four times: its answer is lost, found again, found once more, and its key is used for
// something else.
func (p *plan) repeats() {
	first := p.op(history.Cmd)
	p.commit(first, "UpdateProperty", "kept", renaming(p.root, "park"))
	p.answered(first, history.Info, func(l *history.Line) { l.Status = 503 })
	replay := func(l *history.Line) { l.Replayed = true }
	for n := 2; n < 4; n++ {
		p.w.later(time.Second)
		p.done(p.attempt(first, func(l *history.Line) { l.Attempt = n }), "kept", replay)
	}
	other := p.attempt(first, func(l *history.Line) { l.Attempt, l.Body = 4, "other" })
	p.answered(other, history.Fail, func(l *history.Line) { l.Status, l.Code = 422, "IDEMPOTENCY_CONFLICT" })
}

func TestADayWithoutAFlawPasses(t *testing.T) {
	t.Parallel()

	v := judge(t, day(t))

	if !v.Passed || v.Flagged() {
		var text strings.Builder
		_ = v.WriteTable(&text) // a builder takes everything
		t.Fatalf("the history is good:\n%s", text.String())
	}
	for _, r := range v.Results {
		if r.Skipped == "" && r.Looked == 0 {
			t.Errorf("%s looked at nothing", r.ID)
		}
	}
	if v.Run != "seed 7" || v.Sessions != 2 || v.Commits != 10 || v.Acked != 10 {
		t.Errorf("%+v", v)
	}
}

func TestARunThatLookedAtTooLittleFails(t *testing.T) {
	t.Parallel()

	v, err := check.Run(check.Config{}, day(t))
	if err != nil {
		t.Fatal(err)
	}

	if v.Passed || v.Flagged() {
		t.Errorf("passed %v, flagged %v", v.Passed, v.Flagged())
	}
	if failed := v.Failed(); !slices.Contains(failed, check.Contiguous) || slices.Contains(failed, check.Presence) {
		t.Errorf("failed are %v", failed)
	}
	var text strings.Builder
	if err := v.WriteTable(&text); err != nil || !strings.Contains(text.String(), "too few") || !strings.HasSuffix(text.String(), "FAIL\n") {
		t.Errorf("%v:\n%s", err, text.String())
	}
}
