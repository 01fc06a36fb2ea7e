package socket_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reading is what the peer makes of its stream.
type reading struct {
	rooms  []roomReading
	sent   int  // control frames
	closed bool // the close frame came
}

type roomReading struct {
	in    bool
	at    byte
	state byte // number of the last ephemeral frame
	told  bool
}

// check judges the stream that the peer has read, and that nothing is left to do.
func (w *world) check() {
	got := reading{rooms: make([]roomReading, len(w.rooms))}
	stream := w.stream()
	for len(stream) > 0 && !got.closed && w.fault == "" {
		n := int(stream[0])
		if n == 0x88 {
			n = 2 + int(stream[min(1, len(stream)-1)])
		}
		if n > len(stream) {
			if !w.gone {
				w.faulty("the stream ends inside a frame")
			}
			stream = nil
			break
		}
		w.judge(&got, stream[:n])
		stream = stream[n:]
	}
	if len(stream) > 0 {
		w.faulty("bytes after the close frame: %v", stream)
	}
	w.judgeEnd(&got)
}

// judge takes one frame of the stream.
func (w *world) judge(got *reading, f []byte) {
	n := len(f)
	switch {
	case f[0] == 0x88:
		got.closed = true
	case n < 4 || n > 6 || slices.ContainsFunc(f[4:], func(b byte) bool { return b != f[3] }):
		w.faulty("a frame is not whole: %v", f)
	case f[1] == 0xC0:
		if got.sent++; int(f[3]) != got.sent {
			w.faulty("control frame %d came as number %d", f[3], got.sent)
		}
	case int(f[1]) >= len(got.rooms):
		w.faulty("a frame of nobody: %v", f)
	default:
		r := &got.rooms[f[1]]
		switch {
		case f[2] == 'j' && !r.in:
			*r = roomReading{in: true, at: f[3]}
		case f[2] == 'l' && r.in:
			r.in = false
		case f[2] == 'r' && r.in && f[3] == r.at+1:
			r.at++
		case f[2] == 'e' && r.in && (!r.told || f[3] > r.state):
			r.state, r.told = f[3], true
		default:
			w.faulty("room %+v got %v", *r, f)
		}
	}
}

// judgeEnd takes the end state: nobody can go on, so everything must be done.
func (w *world) judgeEnd(got *reading) {
	switch {
	case w.closeAsked && w.gone:
		if !w.ended() || !w.conn.Dead() {
			w.faulty("the socket was ended %d times, the polls %+v", w.ends, w.poll)
		}
	case w.closeAsked:
		if !got.closed || !w.parted() {
			w.faulty("STUCK: no orderly close: %v %v %d", got.closed, w.shut, w.ends)
		}
	default:
		if w.poll != nil && w.poll.packets > 0 {
			w.faulty("STUCK: a poll that has got something is not answered")
		}
		if got.sent != w.sends || !w.conn.Rests() {
			w.faulty("STUCK: %d of %d control frames, word %#x", got.sent, w.sends, w.conn.Marks())
		}
		for i, r := range w.rooms {
			if f := got.rooms[i]; !f.in || uint64(f.at) != r.head {
				w.faulty("STUCK: room %d stands at %+v, its head is %d", i, f, r.head)
			} else if f.told && f.state != r.state[3] {
				w.faulty("room %d ends with an old state", i)
			}
		}
	}
}

// seeds is how many schedules one test run tries.
const seeds = 40000

func TestTheMachineDeliversEverythingInEverySchedule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(seeds) {
		w := newWorld(seed)
		w.run()
		if w.fault == "" {
			w.check()
		}
		if w.fault != "" {
			t.Fatalf("seed %d: %s", seed, w.fault)
		}
	}
}

// mutants are defects that were made, or nearly made, in designs of such a machine. The model must find each.
var mutants = []struct{ name, file, old, new string }{
	{"release does not look", "word.go", "if runnable(old) {\n\t\t\treturn false", "if old&abort != 0 {\n\t\t\treturn false"},
	{"a frame goes into an unfinished one", "machine.go", "if !c.flushRest() {\n\t\treturn\n\t}\n", "c.flushRest()\n"},
	{"an event before armed is ignored", "conn.go", "if c.word.has(token | armed) {", "if c.word.has(armed) {"},
	{"the cursor moves on a full socket", "conn.go", "!c.put(frame) && !planted.Is(planted.CursorOnFull) {", "!c.put(frame) && !c.word.has(armed) {"},
	{"the mark is cleared after the look", "records.go", "c.word.clear(behind(index))\n\tif int(index) >= len(c.slots) {\n\t\treturn\n\t}", "if int(index) >= len(c.slots) {\n\t\treturn\n\t}\n\tdefer c.word.clear(behind(index))"},
	{"the generation is not compared", "machine.go", "s.gen == 0 || c.slots[s.index].gen != s.gen", "s.gen == 0"},
	{"an order is dropped although the socket was full", "control.go", "if done {\n\t\t\tc.queue.drop()", "if done = true; done {\n\t\t\tc.queue.drop()"},
	{"a state that was told is told again", "conn.go", "s.told[state.Topic] >= state.Number", "s.told[state.Topic] > state.Number"},
	{"a poll that comes during a write is not seen", "detached.go", "if !c.word.has(token|armed) ||", "if !c.word.has(armed) ||"},
	{"a flush is forgotten", "machine.go", "if !c.word.has(dead | lent) {\n\t\tc.out.flush()", "if c.word.has(armed) {\n\t\tc.out.flush()"},
	{"a socket is lent before its own frames are out", "detached.go", "return c.give(order{job: jobLend})", "if c.word.acquireOrMark(writable) {\n\t\tc.lend()\n\t}\n\treturn nil"},
	{"a socket that is lent to the dead stays open", "detached.go", "if d.word.has(dead) {\n\t\td.release()\n\t\treturn", "if d.word.has(dead) {\n\t\treturn"},
	{"a borrower that waits for a poll is not woken", "detached.go", "d.mark(writable)", "d.mark(control)"},
	{"the end of a borrower is not the end of the socket", "detached.go", "\t\tlender.retire()\n\t\treturn\n", "\t\treturn\n"},
	{"missed states are forgotten on a full socket", "records.go", "\t\tc.word.set(marks & missedAll) // nobody has looked at them\n", ""},
	{"a borrower ends while its lender carries out an order", "control.go", "\t\tc.queue.drop() // before: the borrower may end at once, and this connection, queue and all, with it\n\t\tc.lend()\n\t\treturn false // whatever comes next is not for this connection to do", "\t\tc.lend()\n\t\treturn true"},
	{"a fan-out writes without the token", "word.go", "return w.bits.CompareAndSwap(0, token)", "return w.bits.Load()&^token == 0"},
}

func TestTheModelFindsEveryMutantOfTheMachine(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			overlay := plant(t, m.file, m.old, m.new)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-vet=off", "-count=1",
				"-run", "^TestTheMachineDeliversEverythingInEverySchedule$", ".")
			cmd.Env = append(os.Environ(), "GOFLAGS=")

			out, err := cmd.CombinedOutput()

			if err == nil || !strings.Contains(string(out), "seed ") && !strings.Contains(string(out), "panic") {
				t.Errorf("the model does not find it: %v\n%s", err, out)
			}
			t.Logf("%.300s", out)
		})
	}
}

// plant writes a copy of a source file of the package with a defect, and an overlay for the go command that uses it.
func plant(t *testing.T, file, old, defect string) (overlay string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), old) != 1 {
		t.Fatalf("%s does not have %q once", file, old)
	}
	tmp := t.TempDir()
	changed, overlay := filepath.Join(tmp, file), filepath.Join(tmp, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(dir, file): changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), old, defect, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
