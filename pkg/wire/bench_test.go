package wire_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
)

// change is the commit of one changed property.
func change() wire.Record {
	common := []byte(`"session_id":"01a20dd5-b4a1-716a-b171-fa9a75e2f4b9","project_id":null,"timestamp":"2026-11-24T13:53:59.883Z","command_id":null,"command_type":"UpdateProperty","actor":null`)
	own := []byte(`"node_id":"01a20dd5-b4a0-7874-a2f7-72c9fd971afc","property_id":"65bbe1d6-f093-6628-253a-40fcf4bb262b","old_value":"one","new_value":"two"`)
	return wire.Build(wire.Header{Session: uuid.Max, Epoch: 1, Version: 2}, common,
		[]wire.Event{{Name: "command:executing"}, {Name: "graph:property-changed", Fields: own}, {Name: "command:executed"}}, nil)
}

func TestReadingAndSplicingARecordAllocateNothing(t *testing.T) {
	raw, frame := change().Raw, make([]byte, 0, 2048)
	if n := testing.AllocsPerRun(1000, func() {
		rec, err := wire.ParseRecord(raw)
		if err != nil {
			t.Fatal(err)
		}
		frame = rec.AppendCommitFrame(frame[:0])
	}); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

// BenchmarkSplice is what an edge does to a record before it is a frame.
func BenchmarkSplice(b *testing.B) {
	raw, frame := change().Raw, make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		rec, err := wire.ParseRecord(raw)
		if err != nil {
			b.Fatal(err)
		}
		frame = rec.AppendCommitFrame(frame[:0])
	}
	b.SetBytes(int64(len(frame)))
}

// BenchmarkEncode is what a writer does to make a record of a change.
func BenchmarkEncode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		change()
	}
}
