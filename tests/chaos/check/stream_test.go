package check_test

import (
	"slices"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
)

func joining(conn string) func(history.Line) bool {
	return func(l history.Line) bool { return l.F == history.Sub && l.Conn == conn }
}

func TestAConnectionMustSeeEveryVersionOnceAndInOrder(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"one is missing", check.Stream, "1 missing", without(on("ann#1"), 2)},
		{"one comes twice", check.Stream, "seen before", func(t *testing.T, h history.Slice) history.Slice {
			return double(h, where(t, h, 2, on("ann#1")))
		}},
		{"two are swapped", check.Stream, "missing", func(t *testing.T, h history.Slice) history.Slice {
			return swap(h, where(t, h, 2, on("ann#1")), where(t, h, 3, on("ann#1")))
		}},
		{"one of another branch", check.Stream, "another branch", edit(on("ann#1"), 2, func(l *history.Line) { l.Prev = "0000000000000000" })},
		{"one of another epoch", check.Stream, "another epoch", edit(on("ann#1"), 2, func(l *history.Line) {
			p, _ := wire.ParsePosition(l.Position)
			p.Epoch++
			l.Position = p.String()
		})},
		{"a resume that begins too late", check.Stream, "missing", without(on("ben#2"), 0)},
		{"a resume that begins too early", check.Stream, "seen before", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 0, on("ben#2"))
			again := h[where(t, h, 4, on("ben#1"))]
			again.Conn, again.T = "ben#2", h[i].T
			return slices.Insert(h, i, again)
		}},
		{"a resume on a session that is behind", check.Stream, "on a session that is at", edit(joining("ben#2"), 0, func(l *history.Line) {
			p, _ := wire.ParsePosition(l.After)
			p.Version--
			l.Position = p.String()
		})},
		{"no resume and no word why", check.Stream, "no resync said why", edit(joining("ben#2"), 0, func(l *history.Line) { l.Resumed = false })},
		{"a resume that nobody asked for", check.Stream, "asked for nothing", edit(joining("ben#2"), 0, func(l *history.Line) { l.After = "" })},
		{"a join at no position", check.Stream, "at no position", edit(joining("ann#1"), 0, func(l *history.Line) { l.Position = "" })},
		{"a commit after the end", check.Stream, "after it had left", func(t *testing.T, h history.Slice) history.Slice {
			late := h[where(t, h, 5, on("ann#1"))]
			late.Conn = "ben#1"
			return slices.Insert(h, where(t, h, 0, joining("ben#2")), late)
		}},
	})
}

// resynced inserts a resync of ann's connection before her third commit, which then goes on from where it was.
func resynced(change func(*history.Line)) func(*testing.T, history.Slice) history.Slice {
	return func(t *testing.T, h history.Slice) history.Slice {
		t.Helper()
		i := where(t, h, 2, on("ann#1"))
		l := history.Line{T: h[i].T, Kind: history.Note, F: history.Resync, Session: h[i].Session, Client: "ann", Conn: "ann#1",
			Position: h[where(t, h, 1, on("ann#1"))].Position, Reason: "large"}
		change(&l)
		return slices.Insert(h, i, l)
	}
}

func TestAResyncMustHaveAReason(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"none", check.Stream, "for the reason", resynced(func(l *history.Line) { l.Reason = "" })},
		{"a fork without a loss", check.Stream, "no data was lost", resynced(func(l *history.Line) { l.Reason = "fork" })},
		{"trimmed, and it is not", check.Stream, "the log still has it", resynced(func(l *history.Line) { l.Reason = "trimmed" })},
		{"unproven, and it was proved", check.Stream, "proves nothing", resynced(func(l *history.Line) { l.Reason = "unproven" })},
		{"back to an earlier version", check.Stream, "was sent back", resynced(func(l *history.Line) {
			p, _ := wire.ParsePosition(l.Position)
			p.Version--
			l.Position = p.String()
		})},
	})
	if v := judge(t, resynced(func(*history.Line) {})(t, day(t))); v.Flagged() {
		t.Errorf("a good resync is flagged by %v", v.Failed())
	}
	trimmed := resynced(func(l *history.Line) { l.Reason = "trimmed" })(t, day(t))
	trimmed[where(t, trimmed, 0, about(history.LogEnd))].Oldest = 100 // the checker has read it before
	if v := judge(t, trimmed); v.Flagged() {
		t.Errorf("a resync after a trim is flagged by %v", v.Failed())
	}
}

func TestWhatIsReceivedMustBeWhatIsInTheLog(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"other bytes", check.Content, "other bytes", edit(on("ann#1"), 2, func(l *history.Line) { l.Payload = "2222222222222222" })},
		{"published and not in the log", check.Content, "not in the log", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 6, on("ann#1"))
			ghost := h[i]
			p, _ := wire.ParsePosition(ghost.Position)
			ghost.Prev = p.Digest.String()
			p.Version, p.Digest = p.Version+1, wire.Digest{66}
			ghost.Position = p.String()
			return slices.Insert(h, i+1, ghost)
		}},
		{"without a position", check.Content, "without a position", edit(on("ann#1"), 2, func(l *history.Line) { l.Position = "" })},
		{"another graph", check.Convergence, "the first that differs", edit(on("ann#1"), 2, func(l *history.Line) { l.Hash = "3333333333333333" })},
		{"events that cannot be followed", check.Convergence, "cannot follow", edit(on("ann#1"), 2, func(l *history.Line) { l.Error = "no node" })},
		{"another graph at rest", check.Convergence, "rests with graph", edit(about(history.Rest), 0, func(l *history.Line) { l.Hash = "3333333333333333" })},
		{"another branch at rest", check.Convergence, "rests at", edit(about(history.Rest), 0, func(l *history.Line) {
			p, _ := wire.ParsePosition(l.Position)
			p.Digest[0]++
			l.Position = p.String()
		})},
	})
}

func TestNothingMayReachAnotherSession(t *testing.T) {
	t.Parallel()
	house := history.NewCanary(2)
	areFlagged(t, day, []flaw{
		{"bytes of another session in a commit", check.Isolation, "canary", edit(on("ann#1"), 2, func(l *history.Line) { l.Canary += "," + house })},
		{"bytes of another session in an answer", check.Isolation, "canary", edit(about(history.Graph), 0, func(l *history.Line) { l.Canary = house })},
		{"a canary of nobody", check.Isolation, "of nobody", edit(on("ann#1"), 2, func(l *history.Line) { l.Canary = history.NewCanary(3) })},
		{"two channels are crossed", check.Isolation, "never joined", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 2, on("ann#1"))
			stray := h[i]
			stray.Conn, stray.Client = "cas#1", "cas"
			return slices.Insert(h, i, stray)
		}},
		{"a frame that the client did not know what to do with", check.Isolation, "which it never joined", func(t *testing.T, h history.Slice) history.Slice {
			i := where(t, h, 2, on("ann#1"))
			return slices.Insert(h, i, history.Line{T: h[i].T, F: history.Frame, Conn: "cas#1", Error: "a frame of session x, which it never joined"})
		}},
	})
}

func TestClientsMustBeCountedRight(t *testing.T) {
	t.Parallel()
	count := func(l history.Line) bool { return l.F == history.Presence && l.Kind == history.OK }
	told := func(l history.Line) bool { return l.F == history.Presence && l.Conn == "ann#1" }
	with := func(change func(*history.Line)) func(*testing.T, history.Slice) history.Slice {
		return func(t *testing.T, h history.Slice) history.Slice {
			t.Helper()
			i := where(t, h, 0, told)
			h = double(h, i)
			change(&h[i+1])
			return h
		}
	}
	areFlagged(t, day, []flaw{
		{"a ghost", check.Presence, "2 clients at rest", edit(count, 0, func(l *history.Line) { l.Count++ })},
		{"a client that was told wrong", check.Presence, "was told last", edit(count, 0, func(l *history.Line) { l.Conn, l.Count = "ann#1", 7 })},
		{"an announcement twice", check.Presence, "came twice", with(func(*history.Line) {})},
		{"an old announcement", check.Presence, "older", with(func(l *history.Line) { l.Seq, l.Subject = 1, "c" })},
		{"somebody comes twice", check.Presence, "announced twice", with(func(l *history.Line) { l.Seq = 3 })},
		{"news of another session", check.Presence, "has not joined", edit(told, 0, func(l *history.Line) { l.Conn = "cas#1" })},
	})
	several := with(func(l *history.Line) { l.Event, l.Subject, l.Seq = "session:disconnected", "", 3 })(t, day(t))
	if v := judge(t, several); v.Flagged() {
		t.Errorf("an announcement of several is flagged by %v", v.Failed())
	}
}

func TestAllMustBeCurrentSoonAndGiveBackWhatTheyTook(t *testing.T) {
	t.Parallel()
	areFlagged(t, day, []flaw{
		{"a client never gets the last", check.Liveness, "had not got version 8", without(on("ann#1"), 6)},
		{"a client gets the last too late", check.Liveness, "had not got version 8", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 6, on("ann#1"))].T = h[where(t, h, 1, func(l history.Line) bool { return l.F == history.Mark })].T + int64(11*time.Second)
			return h
		}},
		{"goroutines stay", check.Liveness, "go_goroutines 500", func(t *testing.T, h history.Slice) history.Slice {
			h[where(t, h, 1, about(history.Usage))].Figures = map[string]float64{"go_goroutines": 500}
			return h
		}},
	})
}
