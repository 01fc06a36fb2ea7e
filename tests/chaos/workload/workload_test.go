package workload_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/chaos/workload"
	"github.com/talus-tally/talus/tests/harness"
)

// runs lets a small crowd use two instances of each service for some hundred commands and returns the path of the history.
func runs(t *testing.T, shape func(*harness.System, *workload.Config)) string {
	t.Helper()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2})
	path := filepath.Join(t.TempDir(), "history.jsonl")
	out, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg := workload.Config{
		Commands: []string{sys.Command(0).URL, sys.Command(1).URL}, Edges: []string{sys.Edge(0).URL, sys.Edge(1).URL},
		Recorder: history.NewRecorder(out), Sessions: 4, Clients: 4, For: time.Minute, MaxCommands: 300, Rate: 12, Seed: 3,
		Churn: time.Second, Jitter: 200 * time.Millisecond, LogEvery: time.Second,
	}
	if shape != nil {
		shape(sys, &cfg)
	}
	if err := workload.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads a history into memory.
func load(t *testing.T, path string) history.Slice {
	t.Helper()
	var h history.Slice
	for _, e := range history.File(path).Lines() {
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		h = append(h, *e.Line)
	}
	return h
}

func judge(t *testing.T, h history.Source) check.Verdict {
	t.Helper()
	v, err := check.Run(check.Config{}, h)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// table is a verdict for the log of a test.
func table(v check.Verdict) string {
	var text strings.Builder
	_ = v.WriteTable(&text) // a builder takes everything
	return text.String()
}

func TestARunAgainstAWholeSystemPassesAndFlawsInItAreFlagged(t *testing.T) { // alone: the goroutines of its services are counted
	path := runs(t, nil)

	v := judge(t, history.File(path))
	t.Logf("\n%s", table(v))
	if !v.Passed {
		t.Fatal("the checks do not pass")
	}
	for id, least := range map[check.ID]int{
		check.Contiguous: 150, check.Acks: 150, check.Idempotency: 40, check.CAS: 15, check.Stream: 600, check.UndoModel: 40,
		check.Reads: 40, check.Presence: 8, check.Liveness: 16,
	} {
		if r := v.Result(id); r.Looked < least {
			t.Errorf("%s looked at %d, want %d at least", id, r.Looked, least)
		}
	}

	for name, flaw := range flaws() {
		h := load(t, path)
		rng := rand.New(rand.NewPCG(1, 2))
		if v := judge(t, flaw.make(rng, h)); !v.Flagged(flaw.ids...) {
			t.Errorf("%s: none of %v is flagged, but %v", name, flaw.ids, v.Failed())
		}
	}
}

// flaw is a bug of the deployment as it would show in a real history.
type flaw struct {
	ids  []check.ID
	make func(*rand.Rand, history.Slice) history.Slice
}

// draw draws a line that a condition holds for.
func draw(rng *rand.Rand, h history.Slice, ok func(history.Line) bool) int {
	var found []int
	for i, l := range h {
		if ok(l) {
			found = append(found, i)
		}
	}
	return found[rng.IntN(len(found))]
}

func received(l history.Line) bool { return l.F == history.Recv && l.Hash != "" }

func flaws() map[string]flaw {
	return map[string]flaw{
		"one delivery is dropped": {[]check.ID{check.Stream, check.Liveness}, func(rng *rand.Rand, h history.Slice) history.Slice {
			i := draw(rng, h, received)
			return slices.Delete(h, i, i+1)
		}},
		"one delivery comes twice": {[]check.ID{check.Stream}, func(rng *rand.Rand, h history.Slice) history.Slice {
			i := draw(rng, h, received)
			return slices.Insert(h, i, h[i])
		}},
		"two sessions are crossed": {[]check.ID{check.Isolation}, func(rng *rand.Rand, h history.Slice) history.Slice {
			i := draw(rng, h, received)
			j := draw(rng, h, func(l history.Line) bool { return received(l) && l.Session != h[i].Session })
			h[j].Canary = h[i].Canary
			return h
		}},
		"one commit is published and not appended": {[]check.ID{check.Acks, check.Contiguous}, func(rng *rand.Rand, h history.Slice) history.Slice {
			i := draw(rng, h, func(l history.Line) bool { return l.F == history.Log && l.CommandType == "CreateNode" })
			return slices.Delete(h, i, i+1)
		}},
		"one repeat is carried out again": {[]check.ID{check.Idempotency}, func(rng *rand.Rand, h history.Slice) history.Slice {
			i := draw(rng, h, func(l history.Line) bool { return l.Replayed && l.Kind == history.OK && l.F == history.Cmd })
			h[i].Reply, h[i].Replayed = "another", false
			return h
		}},
		"one replica differs": {[]check.ID{check.Convergence}, func(rng *rand.Rand, h history.Slice) history.Slice {
			h[draw(rng, h, received)].Hash = "0123456789abcdef"
			return h
		}},
		"one read is stale": {[]check.ID{check.Reads}, func(rng *rand.Rand, h history.Slice) history.Slice {
			i := draw(rng, h, func(l history.Line) bool {
				return l.F == history.Graph && l.Kind == history.OK && l.Client == ""
			})
			h[i].Position = h[slices.IndexFunc(h, func(l history.Line) bool { return l.F == history.Log && l.Session == h[i].Session })].Position
			return h
		}},
	}
}

func TestFaultsFromOutsideStandInTheHistoryAndTheLogsCanComeFromRedis(t *testing.T) { // alone: the goroutines of its services are counted
	var asked []string
	path := runs(t, func(sys *harness.System, cfg *workload.Config) {
		cfg.Logs = workload.StreamLogs{Log: eventlog.New(redistest.Client(t, sys.RedisURL), eventlog.Config{})}
		cfg.MaxCommands, cfg.Delete = 200, true
		cfg.During = func(ctx context.Context, rec *history.Recorder, sessions []string) {
			asked = sessions
			rec.Mark(history.FaultBegin, "an edge ends")
			sys.Edge(1).Stop()
			rec.Mark(history.FaultEnd, "an edge ends")
			rec.Mark(history.Heal, "")
			<-ctx.Done()
		}
	})

	v, err := check.Run(check.Config{Minimum: map[check.ID]int{check.CAS: 0, check.UndoModel: 5, check.Idempotency: 5}}, history.File(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table(v))
	if !v.Passed {
		t.Error("the checks do not pass")
	}
	if len(asked) != 4 || v.Result(check.Liveness).Looked < 32 {
		t.Errorf("sessions %v, looked at %d", asked, v.Result(check.Liveness).Looked)
	}
	for _, l := range load(t, path) {
		if l.F == history.Log && l.UID == "" {
			t.Fatal("an entry from Redis has no id of its own")
		}
	}
}

func TestARunNeedsADeployment(t *testing.T) {
	t.Parallel()
	rec := history.NewRecorder(new(bytes.Buffer))
	for name, cfg := range map[string]workload.Config{
		"no URLs":   {Recorder: rec},
		"no answer": {Recorder: rec, Commands: []string{"http://127.0.0.1:1"}, Edges: []string{"http://127.0.0.1:1"}, Timeout: time.Second},
	} {
		if err := workload.Run(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
