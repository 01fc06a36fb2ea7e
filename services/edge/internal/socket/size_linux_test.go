package socket_test

import (
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket"
)

func TestAConnectionKeepsFewBytesOfItsOwn(t *testing.T) {
	t.Parallel()
	const most = 512
	sum := uintptr(0)
	for what, bytes := range socket.Kept() {
		t.Logf("%4d  %s", bytes, what)
		sum += bytes
	}
	if sum > most {
		t.Errorf("%d bytes, more than %d", sum, most)
	}
}

func TestADeliveryThatTheSocketTakesAllocatesNothing(t *testing.T) {
	plan := newRoom(t, "plan", 16)
	c := socket.NewMachine(sinkhole{}, func(*socket.Conn) {}, func(*socket.Conn) {}, 64<<10)
	slot, err := c.Attach(plan, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	frame, version := make([]byte, 600), uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		version++
		c.Deliver(slot, version, frame)
	}); n != 0 {
		t.Errorf("%v allocations per delivery", n)
	}
}
