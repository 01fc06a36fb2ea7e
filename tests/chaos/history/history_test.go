package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/talus-tally/talus/tests/chaos/history"
)

func TestWhatManyRecordAtOnceIsReadAgainInTheOrderOfEach(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"h.jsonl", "h.jsonl.gz"} {
		path := filepath.Join(t.TempDir(), name)
		out, err := history.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		rec := history.NewRecorder(out)
		var all sync.WaitGroup
		for who := range 8 {
			all.Go(func() {
				for n := range 500 {
					rec.Record(history.Line{Kind: history.Note, F: history.Frame, Client: fmt.Sprint(who), Count: n, Text: `<&>` + "\u2028"})
				}
			})
		}
		all.Wait()
		if err := errors.Join(rec.Flush(), out.Close()); err != nil {
			t.Fatal(err)
		}

		next, last := map[string]int{}, map[string]int64{}
		lines := 0
		for number, e := range history.File(path).Lines() {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
			lines++
			l := e.Line
			if number != lines || l.Count != next[l.Client] || l.T < last[l.Client] || l.Text != "<&>\u2028" {
				t.Fatalf("%s: line %d is %+v", name, number, l)
			}
			next[l.Client], last[l.Client] = l.Count+1, l.T
		}
		if lines != 8*500 || rec.Lines() != lines {
			t.Errorf("%s: %d lines, recorded %d", name, lines, rec.Lines())
		}
	}
}

func TestALineIsReadAsItWasRecorded(t *testing.T) {
	t.Parallel()
	yes := true
	want := history.Line{T: 5, Began: 3, Kind: history.OK, F: history.Undo, Session: "s", UndoAvailable: &yes, Undone: &history.Step{Version: 7, Command: "c"},
		Stacks: &history.Stack{Undo: []history.Step{{Version: 1}}, Depth: 1}, Figures: map[string]float64{"a": 1.5}, Raw: []byte(`{"x":"<b>"}`)}
	path := filepath.Join(t.TempDir(), "h.jsonl")
	out, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	rec := history.NewRecorder(out)

	rec.Record(want)
	rec.Mark(history.Heal, "F9", "s")
	if err := errors.Join(rec.Flush(), out.Close()); err != nil {
		t.Fatal(err)
	}

	for number, e := range history.File(path).Lines() {
		if number == 1 && !reflect.DeepEqual(*e.Line, want) {
			t.Errorf("got %+v, want %+v", *e.Line, want)
		}
		if number == 2 && (e.Line.Mark != history.Heal || e.Line.T == 0 || e.Line.Sessions[0] != "s") {
			t.Errorf("got %+v", *e.Line)
		}
	}
}

// full is a disk that takes a few bytes.
type full struct{ left int }

var errFull = errors.New("disk full")

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.left {
		return 0, errFull
	}
	f.left -= len(b)
	return len(b), nil
}

func TestAHistoryThatLosesALineSaysSo(t *testing.T) {
	t.Parallel()
	rec := history.NewRecorder(&full{left: 10})

	rec.Record(history.Line{Text: strings.Repeat("x", 2<<20)})
	rec.Record(history.Line{})

	if err := rec.Flush(); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
	if rec.Lines() != 0 {
		t.Errorf("%d lines", rec.Lines())
	}
}

func TestWhatIsNoHistoryIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	for path, text := range map[string]string{broken: "{\"t\":1}\n{", filepath.Join(dir, "broken.gz"): "no gzip"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, good := range map[string]int{broken: 1, broken + ".gz": 0, filepath.Join(dir, "missing"): 0} {
		var err error
		lines := 0
		for _, e := range history.File(path).Lines() {
			if err = e.Err; err == nil {
				lines++
			}
		}
		if err == nil || lines != good {
			t.Errorf("%s: %d lines, error %v", path, lines, err)
		}
	}
}

func TestCanariesAreFoundWhereverTheyStand(t *testing.T) {
	t.Parallel()
	one, two := history.NewCanary(1), history.NewCanary(2)
	for text, want := range map[string]string{
		"":                  "",
		"cnry and cnry0123": "",
		`{"a":"` + two + `.w1","b":"` + one + `"}`: one + "," + two,
		one + one + "cnrycnry":                     one,
		"cnry" + one:                               one,
	} {
		if got := history.Canaries([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestFingerprintsTellBytesApart(t *testing.T) {
	t.Parallel()
	a, b := history.Fingerprint([]byte("ab"), []byte("c")), history.Fingerprint([]byte("a"), []byte("bc"))
	if a == b || len(a) != 16 || a != history.Fingerprint([]byte("ab"), []byte("c")) {
		t.Errorf("%s, %s", a, b)
	}
}

func TestASliceIsAHistory(t *testing.T) {
	t.Parallel()
	var numbers bytes.Buffer
	for number, e := range (history.Slice{{Text: "a"}, {Text: "b"}, {Text: "c"}}).Lines() {
		fmt.Fprint(&numbers, number, e.Line.Text)
		if number == 2 {
			break
		}
	}
	if numbers.String() != "1a2b" {
		t.Errorf("%q", numbers.String())
	}
}
