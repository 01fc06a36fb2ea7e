package socket_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// follower checks what one client reads: every frame whole, the versions of each room in steps of one.
type follower struct {
	tb    testing.TB
	c     *raw
	at    map[string]uint64
	extra map[string]int // frames that are neither records nor joined
}

func follow(tb testing.TB, c *raw) *follower {
	tb.Helper()
	return &follower{tb, c, map[string]uint64{}, map[string]int{}}
}

// read takes one frame and returns an error if it breaks the order.
func (f *follower) read() error {
	first, text, err := f.c.next()
	if err != nil {
		return err
	}
	if first != 0x81 {
		return fmt.Errorf("frame %#x %.60q", first, text)
	}
	words := strings.SplitN(text, " ", 3)
	if words[0] == "joined" {
		f.at[words[1]], err = strconv.ParseUint(words[2], 10, 64)
		return err
	}
	at, known := f.at[words[0]]
	if !known {
		f.extra[text]++
		return nil
	}
	v, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil || v != at+1 || strings.Trim(words[2], "x") != "" {
		return fmt.Errorf("room %s at %d got %.60q", words[0], at, text)
	}
	f.at[words[0]] = v
	return nil
}

// until reads until the rooms have been followed to the versions.
func (f *follower) until(want map[string]uint64) {
	f.tb.Helper()
	for {
		ready := true
		for name, v := range want {
			ready = ready && f.at[name] >= v
		}
		if ready {
			return
		}
		if err := f.read(); err != nil {
			f.tb.Fatalf("%v; at %v, want %v", err, f.at, want)
		}
	}
}

func TestALateJoinerGetsTheRingAndTheLogBeforeWhatIsNew(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		plan := newRoom(t, "plan", 8)
		for range 1000 {
			plan.commit(10)
		}
		_, addr := serve(t, cfg, guests{message: func(c *socket.Conn, after []byte) {
			v, _ := strconv.ParseUint(string(after), 10, 64)
			_, _ = plan.join(c, v)
		}})
		for _, after := range []string{"0", "17", "995", "1000"} {
			f := follow(t, dial(t, addr, "/ws"))
			f.c.send(sockettest.Mask(0x81, after))
			f.until(map[string]uint64{"plan": 1000})
			plan.commit(3)
			f.until(map[string]uint64{"plan": 1001})
			plan.head.Store(1000)
			plan.log = plan.log[:1000]
			f.at["plan"] = 1000
			_ = f.c.Close()
		}
	})
}

func TestAConnectionInSixteenRoomsReadsWholeFramesInOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		const perRoom = 400
		var rooms [socket.MaxSlots]*room
		want := map[string]uint64{}
		for i := range rooms {
			rooms[i] = newRoom(t, fmt.Sprintf("room%d", i), 16<<(i%5))
			want[rooms[i].name] = perRoom
		}
		joined := make(chan struct{}, 2)
		s, addr := serve(t, cfg, guests{open: func(c *socket.Conn, _ socket.Opening) {
			for _, r := range rooms {
				if _, err := r.join(c); err != nil {
					t.Error(err)
				}
			}
			if _, err := rooms[0].join(c); !errors.Is(err, socket.ErrNoSlot) {
				t.Errorf("a seventeenth slot: %v", err)
			}
			joined <- struct{}{}
		}})
		slow, quick := follow(t, dial(t, addr, "/ws")), follow(t, dial(t, addr, "/ws"))
		<-joined
		<-joined

		var wg sync.WaitGroup
		for i, r := range rooms {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 1))
				for range perRoom {
					r.commit(rnd.IntN(4000))
					if rnd.IntN(10) == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		wg.Go(func() { quick.until(want) })
		for range 300 {
			if err := slow.read(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		slow.until(want)
		wg.Wait()

		st := s.Stats()
		if !cfg.Blocking && st.Refills == 0 {
			t.Error("the slow reader never fell off a ring: the test shows nothing")
		}
		t.Logf("%+v", st)
	})
}

func TestADescriptorThatIsUsedAgainCarriesNothingOfItsLastOwner(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		rooms := make([]*room, 8)
		for i := range rooms {
			rooms[i] = newRoom(t, fmt.Sprintf("canary%d", i), 64)
		}
		_, addr := serve(t, cfg, guests{
			open: func(c *socket.Conn, o socket.Opening) {
				i, _ := strconv.Atoi(o.Query.Get("room"))
				_, _ = rooms[i].join(c)
			},
			closed: func(c *socket.Conn, _ error) {
				for _, r := range rooms {
					r.leave(c)
				}
			},
		})
		var over atomic.Bool
		var fans, clients sync.WaitGroup
		for _, r := range rooms {
			fans.Go(func() {
				for !over.Load() {
					r.commit(500)
					time.Sleep(200 * time.Microsecond)
				}
			})
		}
		for n := range 16 {
			clients.Go(func() {
				for round := range 40 {
					i := (n + round) % len(rooms)
					c := dial(t, addr, fmt.Sprintf("/ws?room=%d", i))
					f := follow(t, c)
					for range 1 + round%7 {
						if err := f.read(); err != nil {
							t.Error(err)
						}
					}
					if len(f.at) != 1 || len(f.extra) != 0 {
						t.Errorf("a client of room %d read of %v and %v", i, f.at, f.extra)
					}
					_ = c.Close()
				}
			})
		}
		clients.Wait()
		over.Store(true)
		fans.Wait()
		for _, r := range rooms {
			sockettest.Eventually(t, "everybody has left", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.subs) == 0 })
		}
	})
}

func TestAfterLeftNothingOfTheRoomFollows(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t, cfg := on.T, on.cfg
		plan := newRoom(t, "plan", 64)
		_, addr := serve(t, cfg, guests{message: func(c *socket.Conn, text []byte) {
			switch string(text) {
			case "join":
				_, _ = plan.join(c)
			case "leave":
				plan.leave(c)
			default:
				echo(c, text)
			}
		}})
		c := dial(t, addr, "/ws")
		for range 30 { // more often than there are slots
			at := plan.Head()
			c.send(sockettest.Mask(0x81, "join"))
			c.wants(0x81, fmt.Sprintf("joined plan %d", at))
			plan.commit(0)
			c.wants(0x81, fmt.Sprintf("plan %d ", at+1))
			c.send(sockettest.Mask(0x81, "leave"))
			c.wants(0x81, "left plan")
			plan.commit(0)
			c.send(sockettest.Mask(0x81, "done"))
			c.wants(0x81, "done")
		}
	})
}
