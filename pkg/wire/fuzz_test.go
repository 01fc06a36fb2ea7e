package wire_test

import (
	"bytes"
	"testing"

	"github.com/talus-tally/talus/pkg/wire"
)

// FuzzParsing feeds anything to every parser. What is accepted must be written
// again as the same bytes, so nothing can be read in two ways.
func FuzzParsing(f *testing.F) {
	r, delta := record()
	f.Add(r.Raw)
	f.Add(delta)
	f.Add(wire.AppendNotice(nil, wire.Notice{Session: house}))
	f.Add(wire.AppendEphemeral(nil, wire.Ephemeral{Session: house, Name: wire.ProjectSaved}))
	f.Add(wire.AppendDeleted(nil, wire.Deleted{Session: house}))

	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := wire.ParseRecord(b); err == nil {
			n := 0
			for range r.Events() {
				n++
			}
			if n != r.Len() {
				t.Fatalf("%d events of %d were read", n, r.Len())
			}
			r.AppendCommitFrame(nil)
		}
		if d, err := wire.ParseDelta(b); err == nil {
			if again, err := wire.ParseDelta(wire.AppendDelta(nil, d)); err != nil || len(again.Images) != len(d.Images) {
				t.Fatalf("a delta changed on the way: %v", err)
			}
		}
		if e, err := wire.ParseEphemeral(b); err == nil {
			same(t, b, wire.AppendEphemeral(nil, e))
		}
		if n, err := wire.ParseNotice(b); err == nil {
			same(t, b, wire.AppendNotice(nil, n))
		}
		if d, err := wire.ParseDeleted(b); err == nil {
			same(t, b, wire.AppendDeleted(nil, d))
		}
	})
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	const flagsAt = 3
	got, want = bytes.Clone(got), bytes.Clone(want)
	got[flagsAt], want[flagsAt] = 0, 0
	if !bytes.Equal(got, want) {
		t.Fatalf("read %x, written %x", got, want)
	}
}
