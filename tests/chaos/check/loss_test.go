package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/replica"
)

// failOver is a history in which Redis forgets the last two commits and goes on from the one before; the client is told.
func failOver(t testing.TB) history.Slice {
	w := newWorld(t)
	p := w.plan(1)
	w.mark(history.Start, "")
	ann := p.joins("ann", "ann#1", wire.Position{})
	p.creates(1)
	pos, log := p.pos, len(p.log)
	p.creates(2)
	p.creates(3)
	for _, l := range p.log { // somebody has read the log on the way
		w.add(l)
	}

	w.mark(history.Loss, "fail-over")
	p.pos, p.log, p.graph = pos, p.log[:log], replica.New()
	for _, e := range [][]happening{
		{event("project:loaded", `{"graph":{"roots":[{"id":%q,"blueprint_type_id":"t","name":"plan","order":"a","properties":{},"children":[]}]}}`, p.root)},
		creation("01010000-0000-0000-0000-000000000000", p.root, 1),
	} {
		for _, h := range e {
			if err := p.graph.Apply(h.name, []byte(h.data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.later(time.Second)
	w.add(history.Line{F: history.Resync, Session: p.id, Client: ann.client, Conn: ann.name, Position: p.pos.String(), Reason: "fork"})
	ann.pos, ann.hash = p.pos, p.graph.Hash()
	w.mark(history.Heal, "")
	w.later(12 * time.Second)
	p.creates(4)
	return w.ends()
}

func TestALossOfDataIsNoViolationWhenEverybodyIsTold(t *testing.T) {
	t.Parallel()

	v := judge(t, failOver(t))

	if v.Flagged() {
		t.Fatalf("flagged by %v: %+v", v.Failed(), v.Result(v.Failed()[0]).First)
	}
	if notes := v.Result(check.Acks).Notes; len(notes) != 1 || !strings.Contains(notes[0], "2 acknowledged commands were lost") {
		t.Errorf("the notes are %q", notes)
	}
	if r := v.Result(check.ForkEvidence); r.Skipped != "" || r.Looked == 0 {
		t.Errorf("%+v", r)
	}
}

func TestALossOfDataMustBeNoticed(t *testing.T) {
	t.Parallel()
	loss := func(l history.Line) bool { return l.Mark == history.Loss }
	areFlagged(t, failOver, []flaw{
		{"a client stays on the dead branch", check.ForkEvidence, "did not survive", without(about(history.Resync), 0)},
		{"a client is told too late", check.ForkEvidence, "did not survive", edit(about(history.Resync), 0, func(l *history.Line) { l.T += int64(12 * time.Second) })},
		{"nothing was lost, and an acknowledged command is not there", check.Acks, "is not in the log", without(loss, 0)},
		{"nothing was lost, and the log is another one", check.Contiguous, "another commit before", without(loss, 0)},
		{"what was acknowledged after the loss is not there", check.Acks, "is not in the log", func(t *testing.T, h history.Slice) history.Slice {
			mark := h[where(t, h, 0, loss)]
			h = drop(h, where(t, h, 0, loss))
			i := where(t, h, 0, about(history.Log)) - 4
			mark.T = h[i].T - int64(5*time.Millisecond)
			return append(h, mark)
		}},
	})
}

func TestAHealedSystemMustBeCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.plan(1)
	w.mark(history.Start, "")
	p.joins("ann", "ann#1", wire.Position{})
	p.creates(1)
	p.conns = nil // nothing reaches ann any more
	w.mark(history.FaultBegin, "F9")
	p.creates(2)
	w.mark(history.FaultEnd, "F9")
	w.mark(history.Heal, "")
	w.later(time.Minute)

	v := judge(t, w.ends())

	if first := v.Result(check.Liveness).First; first == nil || !strings.Contains(first.Text, "of the heal") {
		t.Errorf("%+v", first)
	}
}

// flood is a history of two sessions of which one is flooded; the answers to the other one take so long.
func flood(t testing.TB, slow time.Duration) history.Slice {
	w := newWorld(t)
	victim, other := w.plan(1), w.plan(2)
	w.mark(history.Start, "")
	other.joins("ann", "ann#1", wire.Position{})
	toggle := func(n int, took time.Duration) {
		for range n {
			l := other.op(history.Cmd)
			w.later(took)
			other.commit(l, "UpdateProperty", "c"+l.Op, renaming(other.root, "x"))
			other.done(l, "c"+l.Op)
		}
	}
	toggle(120, 20*time.Millisecond)
	w.mark(history.FaultBegin, "F19", victim.id)
	toggle(120, slow)
	w.mark(history.FaultEnd, "F19", victim.id)
	return w.ends()
}

func TestAFloodMustNotSlowTheOthers(t *testing.T) {
	t.Parallel()
	for slow, want := range map[time.Duration]bool{30 * time.Millisecond: true, 60 * time.Millisecond: false} {
		r := judge(t, flood(t, slow)).Result(check.Neighbours)
		if r.Passed != want || r.Looked != 240 || len(r.Notes) != 2 {
			t.Errorf("%v: %+v", slow, r)
		}
		if !want && !strings.Contains(r.First.Text, `"F19" slowed the answers`) {
			t.Errorf("%v: %s", slow, r.First.Text)
		}
	}
}

func TestTooFewFiguresAreNoHarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.plan(1)
	w.mark(history.Start, "")
	w.mark(history.FaultBegin, "F13", p.id)
	w.mark(history.FaultEnd, "F13", p.id)

	if r := judge(t, w.ends()).Result(check.Neighbours); r.Violations > 0 || len(r.Notes) != 2 {
		t.Errorf("%+v", r)
	}
}
