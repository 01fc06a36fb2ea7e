package hub_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// register is the presence of one session, by hand.
type register struct {
	mu      sync.Mutex
	tell    func(hub.News)
	tickets uint64
	here    []uuid.UUID
	others  int
	heard   []uint64
	closed  int
}

func (r *register) Open(_ uuid.UUID, tell func(hub.News)) hub.Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell = tell
	return r
}

func (r *register) Enter(client uuid.UUID) (uint64, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tickets++
	r.here = append(r.here, client)
	return r.tickets, len(r.here) + r.others
}

func (r *register) Leave(client uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, id := range r.here {
		if id == client {
			r.here = append(r.here[:i], r.here[i+1:]...)
			return
		}
	}
	panic("a client left that was not there")
}

func (r *register) Heard(who wire.Presence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, who.Seq)
}

func (r *register) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
	r.here = nil
}

// tells lets the store have news.
func (r *register) tells(n hub.News) {
	r.tell(n)
	wait(0)
}

// counted runs a test on a hub whose one session is counted by hand.
func counted(t *testing.T, test func(t *testing.T, w *world, r *register, plan uuid.UUID)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(register)
		w, end := start(t, hub.Config{Presence: r, Linger: 5 * time.Second})
		defer end()
		test(t, w, r, w.create(1))
	})
}

// announces sends an announcement over the channel.
func (w *world) announces(plan uuid.UUID, who wire.Presence) {
	w.send(plan, wire.AppendEphemeral(nil, wire.Ephemeral{
		Session: plan, Name: wire.SessionConnected, Fields: wire.AppendPresence(nil, who),
	}))
	wait(10 * time.Millisecond)
}

// told are the announcements that a client got, of itself and of others, as numbers of them.
func (p *person) told(t *testing.T, own, others string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	numbers := func(texts []string) string {
		var seqs []string
		for _, text := range texts {
			_, seq, _ := strings.Cut(text, `"seq":`)
			seq, _, _ = strings.Cut(strings.TrimRight(seq, "}"), ",")
			seqs = append(seqs, seq)
		}
		return strings.Join(seqs, " ")
	}
	if a, b := numbers(p.own), numbers(p.events); a != own || b != others {
		t.Errorf("told %q of itself and %q of others, want %q and %q", a, b, own, others)
	}
}

func TestAJoinWaitsUntilItIsKnownWhoIsThere(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann := w.joins(t, plan, hub.After{})
		wait(2 * time.Second)
		if len(ann.starts) != 0 {
			t.Fatal("joined before it was known who is there")
		}

		r.others = 4
		r.tells(hub.News{Who: wire.Presence{Count: 4, Seq: 7}})

		if s := ann.started(0, false, ""); s.Clients != 5 {
			t.Errorf("told of %d clients, want 5", s.Clients)
		}
		ben := w.joins(t, plan, hub.After{})
		wait(time.Second)
		if s := ben.started(0, false, ""); s.Clients != 6 {
			t.Errorf("told of %d clients, want 6", s.Clients)
		}
	})
}

func TestWhoJoinsIsToldAboutItselfFirstAndOnce(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})

		w.announces(plan, wire.Presence{Count: 3, Seq: 8}) // of clients elsewhere, ann is not in it
		ann.told(t, "", "")
		r.tells(hub.News{Event: wire.SessionConnected, Who: wire.Presence{Client: ann.id, Count: 4, Seq: 9}, Counted: 1})
		ann.told(t, "9", "")
		w.announces(plan, wire.Presence{Client: ann.id, Count: 4, Seq: 9})
		w.announces(plan, wire.Presence{Count: 5, Seq: 10})

		ann.told(t, "9", "10")
		want := fmt.Sprintf(`"event":"session:connected","data":{"client_id":%q,"client_count":4,"seq":9}}`, ann.id)
		if !strings.Contains(ann.own[0], want) {
			t.Errorf("told %s, want %s", ann.own[0], want)
		}
	})
}

func TestWhenManyJoinEachIsToldAboutItselfWithTheNewestCount(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann, ben := w.joins(t, plan, hub.After{}), w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})
		cleo := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.announces(plan, wire.Presence{Count: 2, Seq: 1}) // the channel is first
		w.announces(plan, wire.Presence{Count: 9, Seq: 2}) // and others came since
		r.tells(hub.News{Event: wire.SessionConnected, Who: wire.Presence{Count: 2, Seq: 1}, Counted: 2})

		ann.told(t, "2", "")
		ben.told(t, "2", "")
		cleo.told(t, "", "")
		if !strings.Contains(ben.own[0], fmt.Sprintf(`"client_id":%q,"client_count":9`, ben.id)) {
			t.Errorf("told %s", ben.own[0])
		}
		w.announces(plan, wire.Presence{Count: 10, Seq: 3})
		r.tells(hub.News{Who: wire.Presence{Count: 10, Seq: 3}, Counted: 3})
		ann.told(t, "2", "3")
		cleo.told(t, "3", "")
	})
}

func TestAnAnnouncementThatWasLostComesFromTheStoreAndAnOldOneIsDropped(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{Who: wire.Presence{Count: 2, Seq: 5}})
		r.tells(hub.News{Who: wire.Presence{Count: 3, Seq: 6}, Counted: 1})

		w.announces(plan, wire.Presence{Count: 2, Seq: 4})
		r.tells(hub.News{Event: wire.SessionDisconnected, Who: wire.Presence{Count: 1, Seq: 8}})
		w.announces(plan, wire.Presence{Count: 2, Seq: 7})
		w.announces(plan, wire.Presence{Count: 1, Seq: 8})

		ann.told(t, "6", "8")
		if !strings.Contains(ann.events[0], `"event":"session:disconnected"`) {
			t.Errorf("told %s", ann.events[0])
		}
		if fmt.Sprint(r.heard) != "[4 7 8]" {
			t.Errorf("presence heard %v", r.heard)
		}
		if n := w.metric(t, "talus_dropped_messages_total", "old_presence"); n != 3 {
			t.Errorf("%v dropped", n)
		}
	})
}

func TestTheNewestAnnouncementWaitsForAClientThatWasBehind(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann, ben := w.joins(t, plan, hub.After{}), w.hears(plan, hub.After{}, hub.EventStream)
		wait(time.Second)
		r.tells(hub.News{})
		r.tells(hub.News{Who: wire.Presence{Count: 2, Seq: 1}, Counted: 2})
		behind := ann.knows
		if text := latest(ann.sub, behind); text != "" {
			t.Errorf("latest is %q although nothing was missed", text)
		}

		for n := range uint64(3) {
			w.announces(plan, wire.Presence{Count: n, Seq: n + 2})
		}

		if text := string(payload(t, []byte(latest(ann.sub, behind)))); !strings.Contains(text, `"client_count":2,"seq":4`) {
			t.Errorf("latest is %s", text)
		}
		if text := latest(ben.sub, behind); !strings.HasPrefix(text, "event: event\ndata: {") || !strings.Contains(text, `"seq":4`) {
			t.Errorf("latest is %s", text)
		}
		w.set(func(f *redis) { f.down = true })
		wait(5 * time.Second)
		text := latest(ann.sub, behind)
		if !strings.Contains(text, `"stale"`) || !strings.Contains(text, `"seq":4`) || strings.Count(text, "\x81") != 2 {
			t.Errorf("latest is %q, want both frames", text)
		}
	})
}

func TestWhoMissedTheStatusDoesNotGetTheNewestAnnouncementAgain(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})
		r.tells(hub.News{Who: wire.Presence{Count: 1, Seq: 1}, Counted: 1})
		w.announces(plan, wire.Presence{Count: 2, Seq: 2})
		knows := ann.knows
		w.set(func(f *redis) { f.down = true })
		wait(5 * time.Second)

		frames, told := ann.sub.Latest(knows)

		if text := string(payload(t, frames)); !strings.Contains(text, `"stale"`) {
			t.Errorf("latest is %s, want the status alone", text)
		}
		if again := latest(ann.sub, told); again != "" {
			t.Errorf("latest is %q although all of it was sent", again)
		}
	})
}

func TestAnAnnouncementThatDoesNotFollowTheLastNamesNobody(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann, ben, cleo := w.joins(t, plan, hub.After{}), uuid.New(), uuid.New()
		wait(time.Second)
		r.tells(hub.News{})
		r.tells(hub.News{Who: wire.Presence{Count: 1, Seq: 1}, Counted: 1})
		begun := ann.knows

		w.announces(plan, wire.Presence{Client: ben, Count: 2, Seq: 2, Prev: 1})
		w.announces(plan, wire.Presence{Client: cleo, Count: 4, Seq: 4, Prev: 3})
		w.announces(plan, wire.Presence{Client: uuid.New(), Count: 3, Seq: 3, Prev: 2}) // too late
		known := ann.knows
		w.announces(plan, wire.Presence{Client: cleo, Count: 3, Seq: 5, Prev: 4})

		ann.told(t, "1", "2 4 5")
		for i, want := range []string{`"` + ben.String() + `"`, "null", `"` + cleo.String() + `"`} {
			if !strings.Contains(ann.events[i], `"client_id":`+want) {
				t.Errorf("told %s, want %s", ann.events[i], want)
			}
		}
		if text := latest(ann.sub, known); !strings.Contains(text, cleo.String()) {
			t.Errorf("who missed one finds %s", text)
		}
		if text := latest(ann.sub, begun); !strings.Contains(text, `"client_id":null,"client_count":3,"seq":5`) {
			t.Errorf("who missed several finds %s", text)
		}
	})
}

func TestNobodyHearsOfOthersBeforeOfItself(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})
		w.announces(plan, wire.Presence{Count: 3, Seq: 8}) // of clients elsewhere

		if text := latest(ann.sub, ann.knows); text != "" {
			t.Errorf("latest is %q before it was told about itself", text)
		}

		r.tells(hub.News{Event: wire.SessionConnected, Who: wire.Presence{Client: ann.id, Count: 4, Seq: 9}, Counted: 1})
		ann.told(t, "9", "")
		if text := latest(ann.sub, ann.knows); text != "" {
			t.Errorf("latest is %q although that is itself", text)
		}
	})
}

func TestWhoJoinsAfterAnOutageIsNotToldThatItIsOver(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})
		w.set(func(f *redis) { f.down = true })
		wait(5 * time.Second)
		w.set(func(f *redis) { f.down = false })
		wait(5 * time.Second)

		ben := w.joins(t, plan, hub.After{})
		wait(time.Second)

		if text := latest(ann.sub, [hub.Topics]uint64{}); !strings.Contains(text, `"live"`) {
			t.Errorf("who missed it finds %q", text)
		}
		if text := latest(ben.sub, [hub.Topics]uint64{}); text != "" {
			t.Errorf("who came later finds %q", text)
		}
	})
}

func TestWhoLeavesIsCountedOutAndSoIsAWholeRoom(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann, ben := w.joins(t, plan, hub.After{}), w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})
		ann.sub.Leave()
		wait(time.Second)
		if len(r.here) != 1 || r.here[0] != ben.id || r.closed != 0 {
			t.Errorf("here are %v", r.here)
		}
		r.tells(hub.News{Who: wire.Presence{Count: 1, Seq: 1}, Counted: 2})
		ann.told(t, "", "")
		ben.told(t, "1", "")

		ben.sub.Leave()
		wait(10 * time.Second)
		if r.closed != 1 || len(r.here) != 0 {
			t.Errorf("closed %d times, here are %v", r.closed, r.here)
		}
		r.tells(hub.News{Event: wire.SessionConnected, Who: wire.Presence{Count: 1, Seq: 2}}) // too late

		cleo := w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})
		w.send(plan, wire.AppendDeleted(nil, wire.Deleted{Session: plan, Epoch: w.head(plan).Epoch}))
		wait(time.Second)
		cleo.endedWith(hub.ErrNoSession)
		if r.closed != 2 {
			t.Errorf("closed %d times", r.closed)
		}
	})
}

func TestAnAnnouncementThatIsNoneIsRefused(t *testing.T) {
	counted(t, func(t *testing.T, w *world, r *register, plan uuid.UUID) {
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		r.tells(hub.News{})

		w.send(plan, wire.AppendEphemeral(nil, wire.Ephemeral{Session: plan, Name: wire.SessionConnected, Fields: []byte(`"who":1`)}))
		wait(time.Second)

		ann.told(t, "", "")
		if n := w.metric(t, "talus_dropped_messages_total", "malformed"); n != 1 {
			t.Errorf("%v refused", n)
		}
	})
}
