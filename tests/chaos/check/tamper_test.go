package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// where finds the n-th line, counted from 0, that a condition holds for.
func where(t testing.TB, h history.Slice, n int, ok func(history.Line) bool) int {
	t.Helper()
	for i, l := range h {
		if ok(l) {
			if n == 0 {
				return i
			}
			n--
		}
	}
	t.Fatalf("the history has no such line")
	return 0
}

func about(f history.Func) func(history.Line) bool {
	return func(l history.Line) bool { return l.F == f }
}

// on are the commits that a connection received.
func on(conn string) func(history.Line) bool {
	return func(l history.Line) bool { return l.F == history.Recv && l.Conn == conn }
}

func answer(f history.Func, kind history.Kind, code string) func(history.Line) bool {
	return func(l history.Line) bool { return l.F == f && l.Kind == kind && l.Code == code }
}

// drop removes a line, double repeats it, swap exchanges what two lines say but not their times.
func drop(h history.Slice, i int) history.Slice { return slices.Delete(h, i, i+1) }

func double(h history.Slice, i int) history.Slice { return slices.Insert(h, i+1, h[i]) }

func swap(h history.Slice, i, j int) history.Slice {
	h[i], h[j] = h[j], h[i]
	h[i].T, h[j].T = h[j].T, h[i].T
	return h
}

// flaw is something wrong with a history that was good, the check that must flag it, and a part of its words.
type flaw struct {
	name string
	id   check.ID
	says string
	make func(t *testing.T, h history.Slice) history.Slice
}

// edit is a flaw of one line.
func edit(ok func(history.Line) bool, n int, change func(*history.Line)) func(*testing.T, history.Slice) history.Slice {
	return func(t *testing.T, h history.Slice) history.Slice {
		t.Helper()
		change(&h[where(t, h, n, ok)])
		return h
	}
}

func without(ok func(history.Line) bool, n int) func(*testing.T, history.Slice) history.Slice {
	return func(t *testing.T, h history.Slice) history.Slice {
		t.Helper()
		return drop(h, where(t, h, n, ok))
	}
}

// areFlagged makes each flaw in a history of its own.
func areFlagged(t *testing.T, good func(testing.TB) history.Slice, flaws []flaw) {
	t.Helper()
	for _, f := range flaws {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()

			v := judge(t, f.make(t, good(t)))

			r := v.Result(f.id)
			if r.Passed || r.First == nil {
				t.Fatalf("%s did not flag it; flagged were %v", f.id, v.Failed())
			}
			if !strings.Contains(r.First.Text, f.says) {
				t.Errorf("%s says %q, want %q in it", f.id, r.First.Text, f.says)
			}
			if len(r.First.Lines) == 0 || len(r.First.Evidence) != len(r.First.Lines) || slices.Contains(r.First.Evidence, "") {
				t.Errorf("%s shows lines %v: %q", f.id, r.First.Lines, r.First.Evidence)
			}
			if v.Passed || !v.Flagged(f.id) {
				t.Error("the verdict does not say so")
			}
		})
	}
}
