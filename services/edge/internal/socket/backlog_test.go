package socket_test

import (
	"strconv"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

func TestAClientThatIsBehindByMoreThanASlotMayHoldCatchesUpInParts(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		cfg.BacklogBytes = 100_000
		plan := newRoom(t, "plan", 8)
		for range 200 { // refills are of 100 records, 1 MB
			plan.commit(10_000)
		}
		plan.commit(300_000) // more than a slot may hold by itself
		plan.commit(1)
		for range 8 {
			plan.commit(1)
		}
		_, addr := serve(t, cfg, guests{message: func(c *socket.Conn, after []byte) {
			v, _ := strconv.ParseUint(string(after), 10, 64)
			_, _ = plan.join(c, v)
		}})
		f := follow(t, dial(t, addr, "/ws"))

		f.c.send(sockettest.Mask(0x81, "0"))

		f.until(map[string]uint64{"plan": 210})
	})
}
