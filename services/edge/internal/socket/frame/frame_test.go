package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// heard writes down what a Reader finds.
type heard struct{ log []string }

func (h *heard) Text(p []byte)         { h.log = append(h.log, "text "+string(p)) }
func (h *heard) Binary(p []byte)       { h.log = append(h.log, "binary "+string(p)) }
func (h *heard) Ping(p []byte)         { h.log = append(h.log, "ping "+string(p)) }
func (h *heard) Pong()                 { h.log = append(h.log, "pong") }
func (h *heard) Close(_ int, r string) { h.log = append(h.log, "close "+r) }
func (h *heard) told() string          { return strings.Join(h.log, "|") }
func client(first byte, p string) []byte {
	b := frame.Append(nil, frame.Opcode(first&0x0F), []byte(p))
	b[0] = first
	b[1] |= 0x80
	at := len(b) - len(p)
	key := []byte{1, 2, 3, 4}
	out := append(append(bytes.Clone(b[:at]), key...), p...)
	for i := range len(p) {
		out[at+4+i] ^= key[i%4]
	}
	return out
}

func TestEveryDivisionOfAStreamGivesTheSameMessages(t *testing.T) {
	t.Parallel()
	var stream []byte
	stream = append(stream, client(0x01, "one ")...)
	stream = append(stream, client(0x89, "p")...)
	stream = append(stream, client(0x80, strings.Repeat("two", 50))...)
	stream = append(stream, client(0x8A, "")...)
	stream = append(stream, client(0x81, "")...)
	stream = append(stream, client(0x88, "\x03\xe8bye")...)
	stream = append(stream, client(0x81, "after the end")...)
	want := "ping p|text one " + strings.Repeat("two", 50) + "|pong|text |close bye"

	for size := 1; size <= len(stream); size++ {
		var r frame.Reader
		var h heard
		for rest := bytes.Clone(stream); len(rest) > 0; {
			n := min(size, len(rest))
			if err := r.Feed(rest[:n], 1000, &h); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if h.told() != want {
			t.Fatalf("in pieces of %d: %q", size, h.told())
		}
	}
}

func TestAReaderIsIdleOnlyBetweenMessages(t *testing.T) {
	t.Parallel()
	var r frame.Reader
	var h heard
	feed := func(b []byte) { _ = r.Feed(bytes.Clone(b), 1<<20, &h) }

	whole := client(0x81, strings.Repeat("x", 40_000))
	feed(whole)
	if !r.Idle() {
		t.Error("not idle after a whole message")
	}
	feed(whole[:20_000])
	if r.Idle() {
		t.Error("idle inside a frame")
	}
	feed(whole[20_000:])
	feed(client(0x01, "a"))
	if r.Idle() {
		t.Error("idle inside a message")
	}
	r.Reset()
	if !r.Idle() || len(h.log) != 2 {
		t.Error("Reset keeps something")
	}
}

func TestACloseFrameHasAShortReasonOfWholeCharacters(t *testing.T) {
	t.Parallel()
	b := frame.AppendClose(nil, 4200, strings.Repeat("€", 60))
	if len(b) > 2+frame.MaxControl || binary.BigEndian.Uint16(b[2:]) != 4200 || string(b[4:]) != strings.Repeat("€", 41) {
		t.Errorf("%d bytes: %q", len(b), b)
	}
	if b := frame.AppendClose(nil, frame.CodeNoStatus, "x"); !bytes.Equal(b, []byte{0x88, 0}) {
		t.Errorf("no status: %v", b)
	}
}

func FuzzAReaderNeverPanicsAndDividesAlike(f *testing.F) {
	f.Add(client(0x81, "hello"), uint8(3))
	f.Add(append(client(0x01, "a"), client(0x80, "b")...), uint8(1))
	f.Add([]byte{0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, uint8(4))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		var whole, parts frame.Reader
		var a, b heard
		err := whole.Feed(bytes.Clone(stream), 1000, &a)
		var piecewise error
		for rest := bytes.Clone(stream); len(rest) > 0 && piecewise == nil; {
			n := min(int(size)+1, len(rest))
			piecewise = parts.Feed(rest[:n], 1000, &b)
			rest = rest[n:]
		}
		if a.told() != b.told() || (err == nil) != (piecewise == nil) {
			t.Fatalf("%q %v and %q %v", a.told(), err, b.told(), piecewise)
		}
		var v *frame.Violation
		if err != nil && !errors.As(err, &v) {
			t.Fatalf("%v is no violation", err)
		}
	})
}
