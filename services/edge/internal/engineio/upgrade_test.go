package engineio_test

import (
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
)

func TestASessionMovesToAWebSocket(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())
	p := sys.Opens()

	w := p.Moves()

	w.Says("4one", "4two")
	w.Hears("4one", "4two")
	w.Sends(engineiotest.Mask(0x82, "\x01\x02"))
	if op, got := w.Next(); op != 0x82 || got != "\x01\x02" {
		t.Errorf("got frame %#x %q", op, got)
	}
	p.Wants(p.Get(), 400, engineiotest.Bad)
	p.Wants(p.Post("4x"), 400, engineiotest.Bad)
}
