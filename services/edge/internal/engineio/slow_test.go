package engineio_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// tape is a room of one subscriber that remembers its newest frames only; older ones can be had from its log.
type tape struct {
	conn  *socket.Conn
	slot  socket.Slot
	keeps uint64
	log   [][]byte // version n at n-1; written by the test only, before head says so
	head  atomic.Uint64
	reads atomic.Uint64
}

// plays attaches a tape to a session.
func plays(t *testing.T, s *engineio.Session, keeps uint64) *tape {
	t.Helper()
	r := &tape{conn: s.Conn(), keeps: keeps, log: make([][]byte, 10_000)}
	var err error
	if r.slot, err = s.Conn().Attach(r, 0, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// commits publishes a version: a frame of several messages.
func (r *tape) commits(texts ...string) {
	var f []byte
	for _, text := range texts {
		f = engineio.AppendMessage(f, []byte(text))
	}
	r.log[r.head.Load()] = f
	r.conn.Deliver(r.slot, r.head.Add(1), f)
}

func (r *tape) Head() uint64 { return r.head.Load() }

func (r *tape) Frame(v uint64) []byte {
	if head := r.head.Load(); v == 0 || v > head || v+r.keeps <= head {
		return nil
	}
	return r.log[v-1]
}

func (r *tape) Latest(told socket.Told) ([]byte, socket.Told) { return nil, told }

func (r *tape) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	r.reads.Add(1)
	c.Supply(slot, after+1, r.log[:r.head.Load()][after:])
}

func TestACommitOfManyEventsIsCutAtTheirBorders(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	r := plays(t, <-h.sessions, 1000)
	packets, texts := numbers(50)

	r.commits(texts...)
	r.commits("next")

	for _, want := range [][]string{packets[:16], packets[16:32], packets[32:48], append(packets[48:50:50], "4next")} {
		p.Wants(p.Get(), 200, strings.Join(want, "\x1e"))
	}
}

func TestASlowPollerIsRefilledFromTheLogAndMissesNothing(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	r := plays(t, <-h.sessions, 8)
	packets, texts := numbers(300)

	for _, text := range texts {
		r.commits(text)
	}

	p.Hears(packets...)
	if r.reads.Load() == 0 {
		t.Error("the ring had it all")
	}
}

func TestAPollerThatNeverKeepsUpIsClosedAndComesBack(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	r := plays(t, <-h.sessions, 4)

	// It reads one commit while one comes, so it is always 6 behind, and each time it has read what the log had, the ring
	// has moved on.
	_, full := numbers(16)
	for range 6 {
		r.commits(full...)
	}
	for range 3000 {
		r.commits(full...)
		a := p.Get()
		if a.Status != http.StatusOK {
			p.Wants(a, 400, engineiotest.Unknown)
			break
		}
	}

	if err := <-h.ends; !errors.Is(err, socket.ErrSlow) {
		t.Errorf("ended with %v", err)
	}
	p.System.Opens()
}

func TestAWebSocketThatTakesNothingIsClosed(t *testing.T) {
	t.Parallel()
	for name, moves := range map[string]bool{"direct": false, "after polling": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost()
			sys := engineiotest.Serve(t, socket.Config{StallAfter: 100 * time.Millisecond}, engineio.Config{}, h)
			if moves {
				sys.Opens().Moves()
			} else {
				sys.OpensWebSocket()
			}
			r := plays(t, <-h.sessions, 1<<20)

			big := strings.Repeat("x", 1<<20)
			for range 30 {
				r.commits(big)
			}

			if err := <-h.ends; !errors.Is(err, socket.ErrSlow) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestTooMuchForAPollerThatNeverComesEndsIt(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	s := <-h.sessions

	for range 1000 {
		says(s, "x")
	}

	if err := <-h.ends; !errors.Is(err, socket.ErrOverflow) {
		t.Errorf("ended with %v", err)
	}
	p.Wants(p.Get(), 400, engineiotest.Unknown)
}
