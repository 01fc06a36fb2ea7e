package socket_test

import (
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket"
)

func TestAnEphemeralFrameMissedIsMadeUpByTheLatestState(t *testing.T) {
	t.Parallel()
	plan := newRoom(t, "plan", 4096)
	joined := make(chan struct{}, 1)
	_, addr := serve(t, socket.Config{}, guests{open: func(c *socket.Conn, _ socket.Opening) {
		_, _ = plan.join(c)
		joined <- struct{}{}
	}})
	f := follow(t, dial(t, addr, "/ws"))
	<-joined
	f.until(map[string]uint64{"plan": 0})
	eventually(t, "the ephemeral frame is taken", func() bool { return plan.tell("hello") == 1 })

	commits := uint64(0)
	for plan.tell("lost") == 1 && commits < 4000 { // fill the socket until it takes no more
		plan.commit(30000)
		commits++
	}
	plan.tell("newest")
	for f.extra["newest"] == 0 {
		if err := f.read(); err != nil {
			t.Fatal(err)
		}
	}

	if f.at["plan"] != commits {
		t.Errorf("the state came at version %d, before the record %d", f.at["plan"], commits)
	}
}

func TestAResyncPutsASlotOnAnotherBranch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		dead, alive := newRoom(t, "dead", 16), newRoom(t, "alive", 16)
		for range 7 {
			dead.commit(1)
			alive.commit(1)
		}
		type seat struct {
			c    *socket.Conn
			slot socket.Slot
		}
		seats := make(chan seat, 1)
		_, addr := serve(t, cfg, guests{open: func(c *socket.Conn, _ socket.Opening) {
			slot, _ := c.Attach(dead, 7, nil)
			seats <- seat{c, slot}
		}})
		c := dial(t, addr, "/ws")
		s := <-seats

		s.c.Resync(s.slot, alive, 5, []byte{0x81, 2, 'r', 's'})

		c.wants(0x81, "rs")
		c.wants(0x81, "alive 6 x")
		c.wants(0x81, "alive 7 x")
		dead.commit(1)
		alive.mu.Lock()
		alive.subs[s.c] = s.slot
		alive.mu.Unlock()
		alive.commit(1)
		c.wants(0x81, "alive 8 x")
	})
}
