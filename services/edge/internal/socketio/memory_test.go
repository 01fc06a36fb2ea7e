package socketio_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

func TestOneMessageOfManyArgumentsPinsNoMemory(t *testing.T) {
	event := func(args int) string { return `42["x"` + strings.Repeat(",0", args-1) + `]` }
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": echo()})

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40")
		p.says(event(1000))
		p.hears(event(1000))
		p.says(event(1001))
		p.isClosed()
	})
	for n, most := range map[int]int{4: 4, 16: 16, 1000: 0, 500_000: 0} {
		if got := socketio.Kept(n); got > most {
			t.Errorf("after a message of %d arguments there is room for %d", n, got)
		}
	}
}

func TestAPacketThatWaitsIsOneCopyHoweverManyArgumentsItHas(t *testing.T) {
	t.Parallel()
	text := []byte(`2["x"` + strings.Repeat(`, {"a":1} `, 900) + `]`)
	clone := socketio.Clone(text)

	args := clone()
	clear(text)

	if len(args) != 901 || string(args[0]) != `"x"` || string(args[900]) != `{"a":1}` {
		t.Errorf("copied as %d arguments, the last %q", len(args), args[len(args)-1])
	}
}

func TestPacketsThatWaitAreCountedWithTheMemoryOfTheirArguments(t *testing.T) {
	t.Parallel()
	asked := make(chan *socketio.Socket, 10)
	sys := serve(t, socketio.Config{MaxWaitingBytes: 2000}, map[string]socketio.Namespace{"/": room{
		connect: func(s *socketio.Socket, _ []byte) { asked <- s },
	}})
	few, many := transports["WebSocket"](t, sys), transports["WebSocket"](t, sys)

	few.says("40", fmt.Sprintf(`42["x","%s"]`, strings.Repeat("x", 1000)))
	(<-asked).Accept(nil)
	accepted(t, few)
	many.says("40", `42["x"`+strings.Repeat(",0", 100)+`]`)

	many.isClosed()
}

func BenchmarkAPacketThatWaits(b *testing.B) {
	clone := socketio.Clone([]byte(`2["x"` + strings.Repeat(",0", 900) + `]`))
	b.ReportAllocs()
	for b.Loop() {
		clone()
	}
}
