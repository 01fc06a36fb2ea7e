package socketio_test

import (
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

func TestEventsAreEncodedAsTheGrammarSays(t *testing.T) {
	t.Parallel()
	for want, got := range map[string][]byte{
		"\x81\x07" + `42["x"]`:                            socketio.AppendEvent(nil, "/", "x"),
		"\x81\x0d" + `42/chat,["x"]`:                      socketio.AppendEvent(nil, "/chat", "x"),
		"\x81\x11" + `42["x",1,{"a":2}]`:                  socketio.AppendEvent(nil, "/", "x", []byte(`1`), []byte(`{"a":2}`)),
		"\x81\x0c" + `42["\"\\é"]`:                        socketio.AppendEvent(nil, "/", "\"\\é"),
		"before\x81\x07" + `42["x"]`:                      socketio.AppendEvent([]byte("before"), "/", "x"),
		"\x81\x0c" + `452-["x",[]]` + "\x82\x01a\x82\x00": socketio.AppendBinaryEvent(nil, "/", "x", [][]byte{[]byte("a"), nil}, []byte(`[]`)),
	} {
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestEncodingASharedFrameAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	arg := []byte(strings.Repeat("1", 330))
	if n := testing.AllocsPerRun(100, func() { dst = socketio.AppendEvent(dst[:0], "/graph", "node-created", arg) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	arg := []byte(`{"session_id":"` + strings.Repeat("x", 300) + `"}`)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = socketio.AppendEvent(dst[:0], "/graph", "node-created", arg)
	}
}

func BenchmarkParse(b *testing.B) {
	for name, packet := range map[string]string{
		"join":   `2/graph,7["join_session",{"session_id":"018f3c5e-0000-7000-8000-000000000000"}]`,
		"binary": `52-/graph,13["up",{"_placeholder":true,"num":0},{"a":[{"num":1,"_placeholder":true}]}]`,
		"10 KB":  `2["x",{"text":"` + strings.Repeat("lorem ipsum ", 850) + `"}]`,
	} {
		b.Run(name, func(b *testing.B) {
			text := []byte(packet)
			parse := socketio.Parser()
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if parse(text) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
