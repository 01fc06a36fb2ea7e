package socket_test

import (
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
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
	sockettest.Eventually(t, "the ephemeral frame is taken", func() bool { return plan.tell("hello") == 1 })

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

func TestAStateThatACatchUpHasSentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	k := &tightKernel{}
	c := socket.NewMachine(k, func(*socket.Conn) {}, func(*socket.Conn) {}, 1<<20)
	r := &quietRoom{}
	slot, _ := c.Attach(r, 0, nil)
	r.states("old", 1)
	k.full = true
	c.Ephemeral(slot, []byte("old;"), socket.State{Number: 1}) // the socket takes nothing: missed

	r.states("new", 2) // the room has a newer one, and the catch-up finds it before the room comes to tell
	k.full = false
	c.Drained()
	told := c.Ephemeral(slot, []byte("new;"), socket.State{Number: 2})

	if got := string(k.taken); got != "new;" || !told {
		t.Errorf("the peer was sent %q", got)
	}
	c.Ephemeral(slot, []byte("next;"), socket.State{Number: 3})
	c.Ephemeral(slot, []byte("failed;"), socket.State{}) // nothing replaces it: always sent
	if got := string(k.taken); got != "new;next;failed;" {
		t.Errorf("the peer was sent %q", got)
	}
}

func TestTheFirstStateOfATopicIsSentThoughTheSocketIsFull(t *testing.T) {
	t.Parallel()
	k := &tightKernel{full: true}
	c := socket.NewMachine(k, func(*socket.Conn) {}, func(*socket.Conn) {}, 1<<20)
	r := &quietRoom{}
	slot, _ := c.Attach(r, 0, []byte("joined;"))
	r.states("other", 4)

	c.Tell(slot, []byte("self;"), socket.State{Number: 4})
	k.full = false
	c.Drained()
	c.Ephemeral(slot, []byte("other;"), socket.State{Number: 4})

	if got := string(k.taken); got != "joined;self;" {
		t.Errorf("the peer was sent %q", got)
	}
	c.Detach(slot, nil)
	c.Tell(slot, []byte("late;"), socket.State{Number: 5})
	if got := string(k.taken); got != "joined;self;" {
		t.Errorf("the peer was sent %q after it left", got)
	}
}

// tightKernel takes everything or nothing.
type tightKernel struct {
	full  bool
	taken []byte
}

func (k *tightKernel) Write(p []byte) int {
	if k.full {
		return 0
	}
	k.taken = append(k.taken, p...)
	return len(p)
}

func (k *tightKernel) ShutWrite() {}
func (k *tightKernel) End()       {}

// quietRoom is a Stream without commits.
type quietRoom struct {
	state  string
	number uint64
}

func (r *quietRoom) states(text string, number uint64) { r.state, r.number = text+";", number }

func (r *quietRoom) Head() uint64                             { return 0 }
func (r *quietRoom) Frame(uint64) []byte                      { return nil }
func (r *quietRoom) Refill(*socket.Conn, socket.Slot, uint64) {}
func (r *quietRoom) Latest(told socket.Told) ([]byte, socket.Told) {
	if r.number <= told[0] {
		return nil, told
	}
	return []byte(r.state), socket.Told{r.number}
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
