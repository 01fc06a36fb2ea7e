package follow_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/talus-tally/talus/tests/load/follow"
)

// heard is a sink that writes down.
type heard struct {
	joined   int
	versions []uint64
	dues     []int64
	answers  int
	code     int
}

func (h *heard) Joined(bool) { h.joined++ }
func (h *heard) Commit(version uint64, due int64) {
	h.versions, h.dues = append(h.versions, version), append(h.dues, due)
}
func (h *heard) Answer([]byte)     { h.answers++ }
func (h *heard) Farewell(code int) { h.code = code }

const epoch = "00000000000000aa"

func joined(version int) string {
	return fmt.Sprintf(`{"type":"joined","epoch":"%s","version":%d,"position":"%s.%d.%016x","resumed":false}`, epoch, version, epoch, version, version)
}

func resumed(version int) string {
	return fmt.Sprintf(`{"type":"joined","position":"%s.%d.%016x","resumed":true}`, epoch, version, version)
}

// commit chains version to prev; its digest is its number.
func commit(version, prev int) string {
	return fmt.Sprintf(`{"type":"commit","epoch":"%s","version":%d,"position":"%s.%d.%016x","prev":"%016x","events":[{"data":{"new_value":"t=%d"}}]}`,
		epoch, version, epoch, version, version, prev, 1000+version)
}

func native(op byte, text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x80 | op, 126}, uint16(len(text)))
	return append(b, text...)
}

func events(name, text string) []byte {
	return fmt.Appendf(nil, "id: x\nevent: %s\ndata: %s\n\n", name, text)
}

// wire writes frames of one dialect.
type wire struct {
	dialect follow.Dialect
	frame   func(name, text string) []byte
}

func wires() []wire {
	return []wire{
		{follow.Native{}, func(_, text string) []byte { return native(1, text) }},
		{follow.EventStream{}, events},
	}
}

func (w wire) stream(frames ...string) (b []byte) {
	for i, text := range frames {
		name := "commit"
		if i == 0 {
			name = "joined"
		}
		b = append(b, w.frame(name, text)...)
	}
	return b
}

func TestEveryFollowerSeesEachVersionOnceHoweverItsBytesArrive(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.dialect.Name(), func(t *testing.T) {
			t.Parallel()
			r := follow.NewRoom("s", w.dialect, 4)
			stream := w.stream(joined(3), commit(4, 3), commit(5, 4), commit(6, 5))
			for size := len(stream); size > 0; size-- {
				var f follow.Follower
				var h heard
				var rest []byte
				for i := 0; i < len(stream); i += size {
					rest = append(rest, stream[i:min(i+size, len(stream))]...)
					n, err := f.Take(r, rest, &h)
					if err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if len(rest) > 0 || h.joined != 1 || fmt.Sprint(h.versions, h.dues) != "[4 5 6] [1004 1005 1006]" || f.Version() != 6 {
					t.Fatalf("in pieces of %d: %+v, %d bytes left", size, h, len(rest))
				}
			}
		})
	}
}

func TestAStreamThatIsWrongIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		for name, c := range map[string]struct {
			frames []string
			want   error
		}{
			"a hole":             {[]string{joined(3), commit(5, 4)}, follow.ErrGap},
			"a repeat":           {[]string{joined(3), commit(4, 3), commit(4, 3)}, follow.ErrGap},
			"another branch":     {[]string{joined(3), commit(4, 9)}, follow.ErrChain},
			"before it has come": {[]string{commit(4, 3)}, follow.ErrGap},
			"no position":        {[]string{`{"type":"joined"}`}, follow.ErrGarble},
		} {
			t.Run(w.dialect.Name()+"/"+name, func(t *testing.T) {
				t.Parallel()
				stream := w.stream(c.frames...)
				if len(c.frames) == 1 && c.want == follow.ErrGap {
					stream = w.frame("commit", c.frames[0])
				}
				var f follow.Follower
				if _, err := f.Take(follow.NewRoom("s", w.dialect, 4), stream, &heard{}); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestAFollowerThatSeesOtherBytesThanTheFirstIsAnError(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		r := follow.NewRoom("s", w.dialect, 4)
		var first, second follow.Follower
		if _, err := first.Take(r, w.stream(joined(3), commit(4, 3)), &heard{}); err != nil {
			t.Fatal(err)
		}
		other := commit(4, 3)[:len(commit(4, 3))-1] + ` }`
		if _, err := second.Take(r, w.stream(joined(3), other), &heard{}); !errors.Is(err, follow.ErrDiffer) {
			t.Errorf("%s: got %v", w.dialect.Name(), err)
		}
	}
}

func TestAFollowerGoesOnFromWhereItWas(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		r := follow.NewRoom("s", w.dialect, 8)
		var f follow.Follower
		var h heard
		if _, err := f.Take(r, w.stream(joined(3), commit(4, 3)), &h); err != nil {
			t.Fatal(err)
		}
		f.Away()
		if at := f.Position(r); at != epoch+".4.0000000000000004" {
			t.Errorf("position %q", at)
		}
		if _, err := f.Take(r, w.stream(resumed(4), commit(5, 4)), &h); err != nil || f.Version() != 5 {
			t.Errorf("version %d, %v", f.Version(), err)
		}
		f.Away()
		if _, err := f.Take(r, w.stream(joined(9)), &h); !errors.Is(err, follow.ErrGap) {
			t.Errorf("put elsewhere: %v", err)
		}
	}
}

func TestPingsAreAnsweredAndFarewellsAreHeard(t *testing.T) {
	t.Parallel()
	var h heard
	var f follow.Follower
	stream := append([]byte{0x89, 0}, 0x88, 2, 0x10, 0x68)
	if _, err := f.Take(follow.NewRoom("s", follow.Native{}, 4), stream, &h); err != nil || h.answers != 1 || h.code != 4200 {
		t.Errorf("%+v, %v", h, err)
	}
	text := events("closed", `{"type":"closed","close_code":1012}`)
	if _, err := f.Take(follow.NewRoom("s", follow.EventStream{}, 4), text, &h); err != nil || h.code != 1012 {
		t.Errorf("%+v, %v", h, err)
	}
}

// BenchmarkTake is what the check costs per delivery when many follow one session.
func BenchmarkTake(b *testing.B) {
	r := follow.NewRoom("s", follow.Native{}, 1024)
	w := wires()[0]
	var first follow.Follower
	var h heard
	frames := []string{joined(1)}
	for v := 2; v < 1000; v++ {
		frames = append(frames, commit(v, v-1))
	}
	stream := w.stream(frames...)
	if _, err := first.Take(r, stream, &h); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		var f follow.Follower
		h.versions, h.dues = h.versions[:0], h.dues[:0]
		if _, err := f.Take(r, stream, &h); err != nil {
			b.Fatal(err)
		}
		n += len(frames) - 1
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/delivery")
}
