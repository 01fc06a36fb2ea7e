package frame_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

func TestFramesAreTakenApartAsTheyWereMade(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 0xFFFF, 0x10000} {
		want := strings.Repeat("x", n)
		first := frame.Append(nil, frame.Binary, []byte(want))
		two := frame.AppendText(bytes.Clone(first), []byte("behind"))

		op, payload, size := frame.Next(two)

		if op != frame.Binary || string(payload) != want || size != len(first) {
			t.Errorf("%d bytes: got kind %d, %d bytes, size %d", n, op, len(payload), size)
		}
		if op, payload, _ := frame.Next(two[size:]); op != frame.Text || string(payload) != "behind" {
			t.Errorf("behind %d bytes: got kind %d %q", n, op, payload)
		}
	}
}

func TestWhatIsNoWholeFrameIsNotTakenApart(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 300, 0x10000} {
		whole := frame.AppendText(nil, make([]byte, n))
		for cut := range min(len(whole), 20) {
			if _, _, size := frame.Next(whole[:cut]); size != 0 {
				t.Errorf("%d of %d bytes have a frame of %d", cut, len(whole), size)
			}
		}
		if _, _, size := frame.Next(whole[:len(whole)-1]); size != 0 {
			t.Errorf("a frame of %d bytes without its last has size %d", len(whole), size)
		}
	}
	for name, b := range map[string]string{
		"a length beyond all memory": "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "a masked frame": "\x81\x81\x01\x02\x03\x04x",
	} {
		if _, _, size := frame.Next([]byte(b)); size != 0 {
			t.Errorf("%s has size %d", name, size)
		}
	}
}
