package eventlogtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// edges are the leases of all tests on one Redis.
const edges = "talus:{edges}"

// begins is a new edge with a lease.
func begins(t testing.TB, log *eventlog.Log) string {
	t.Helper()
	edge := uuid.NewString()
	must(t, log.BeginLease(t.Context(), edge))
	t.Cleanup(func() { _ = log.EndLease(context.Background(), edge) })
	return edge
}

// expires lets the lease of an edge be over.
func expires(t testing.TB, rdb redis.UniversalClient, edge string) {
	t.Helper()
	past := float64(time.Now().Add(-time.Minute).UnixMilli())
	must(t, rdb.ZAdd(t.Context(), edges, redis.Z{Member: edge, Score: past}).Err())
}

// announcements are what the ear heard about who came and went, as texts.
func announcements(t testing.TB, ear *Ear, session uuid.UUID) (texts []string, last wire.Presence) {
	t.Helper()
	for _, payload := range ear.Heard(session) {
		e, err := wire.ParseEphemeral(payload)
		must(t, err)
		p, err := wire.ParsePresence(e.Fields)
		must(t, err)
		if p.Seq <= last.Seq || time.Since(time.UnixMilli(e.Time)).Abs() > time.Minute {
			t.Errorf("number %d of %v after %d", p.Seq, time.UnixMilli(e.Time), last.Seq)
		}
		who := "several"
		if p.Client != uuid.Nil {
			who = p.Client.String()
		}
		texts, last = append(texts, fmt.Sprintf("%s %s %d", e.Name, who, p.Count)), p
	}
	return texts, last
}

// hears fails the test unless exactly these announcements come.
func hears(t testing.TB, ear *Ear, session uuid.UUID, want ...string) wire.Presence {
	t.Helper()
	Eventually(t, "the announcements", func() bool { return len(ear.Heard(session)) >= len(want) })
	got, last := announcements(t, ear, session)
	if !slices.Equal(got, want) {
		t.Errorf("announced %q, want %q", got, want)
	}
	return last
}

// listener is an ear on a session that is heard already.
func listener(t testing.TB, rdb redis.UniversalClient, session uuid.UUID) *Ear {
	t.Helper()
	feed, ear := Listens(t, rdb)
	feed.Add(session)
	Eventually(t, "the confirmation", func() bool { return ear.Confirmations(session) > 0 })
	return ear
}

func (s suite) clients(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	a, b := Creates(t, log), Creates(t, log)
	ann, bob, dead := begins(t, log), begins(t, log), begins(t, log)
	for _, edge := range []string{ann, bob, dead} {
		must(t, log.SetClients(t.Context(), a.Session, edge, 2))
	}
	must(t, log.SetClients(t.Context(), b.Session, ann, 1))
	must(t, log.SetClients(t.Context(), b.Session, ann, 0))
	expires(t, rdb, dead)

	counts, err := log.Clients(t.Context(), a.Session, b.Session)

	must(t, err)
	if counts[a.Session] != 4 || counts[b.Session] != 0 {
		t.Errorf("clients are %v, want 4 and none", counts)
	}
	present, err := log.Present(t.Context(), []uuid.UUID{a.Session, b.Session, uuid.New()})
	must(t, err)
	if p := present[0]; p.Clients != 6 || p.Edges[dead] != 2 || len(p.Edges) != 3 || p.Seq == 0 {
		t.Errorf("present are %+v", p)
	}
	if present[1].Clients != 0 || present[1].Seq == 0 || present[2].Clients != 0 || present[2].Seq != 0 {
		t.Errorf("present are %+v", present[1:])
	}
}

func (s suite) announced(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := Creates(t, log)
	ear := listener(t, rdb, w.Session)
	ann, bob := begins(t, log), begins(t, log)
	says := func(edge string, n, want int, event wire.EventName) {
		t.Helper()
		p := log.Announce(t.Context(), edge, []eventlog.Count{{Session: w.Session, Clients: n}})[0]
		if p.Err != nil || p.Clients != want || p.Event != event || p.Edges[edge] != n {
			t.Errorf("%d clients: %+v, want %d, event %q", n, p, want, event)
		}
	}

	says(ann, 3, 3, wire.SessionConnected)
	says(ann, 3, 3, "")
	says(bob, 2, 5, wire.SessionConnected)
	says(ann, 1, 3, wire.SessionDisconnected)
	says(bob, 0, 1, wire.SessionDisconnected)
	says(bob, 0, 1, "")

	last := hears(t, ear, w.Session, "session:connected several 3", "session:connected several 5",
		"session:disconnected several 3", "session:disconnected several 1")
	if present, err := log.Present(t.Context(), []uuid.UUID{w.Session}); err != nil || present[0].Seq != last.Seq {
		t.Errorf("the number is %+v, %v, want %d", present, err, last.Seq)
	}
}

func (s suite) named(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := Creates(t, log)
	ear := listener(t, rdb, w.Session)
	edge, client := begins(t, log), uuid.New()
	says := func(n int, who uuid.UUID, left, named bool) {
		t.Helper()
		p := log.Announce(t.Context(), edge, []eventlog.Count{{Session: w.Session, Clients: n, Client: who, Left: left}})[0]
		if p.Err != nil || p.Named != named {
			t.Errorf("%d clients: %+v", n, p)
		}
	}

	says(1, client, false, true)
	says(1, client, false, false) // a repeat
	says(3, client, false, false) // two came: the caller was wrong
	says(2, client, true, true)
	says(1, client, false, false) // it came, and the entry was one of three: from before a loss of data
	says(2, client, true, false)

	hears(t, ear, w.Session, "session:connected "+client.String()+" 1", "session:connected several 3",
		"session:disconnected "+client.String()+" 2", "session:disconnected several 1", "session:connected several 2")
}

func (s suite) late(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := Creates(t, log)
	ear := listener(t, rdb, w.Session)
	edge, dead, client := begins(t, log), begins(t, log), uuid.New()
	now := uint64(time.Now().UnixMilli())
	says := func(edge string, n int, number uint64, want int, others ...string) {
		t.Helper()
		p := log.Announce(t.Context(), edge, []eventlog.Count{{Session: w.Session, Clients: n, Client: client, Left: n < 2, Number: number, Dead: others}})[0]
		if p.Err != nil || p.Clients != want {
			t.Errorf("%d clients by number %d: %+v, want %d", n, number, p, want)
		}
	}

	says(edge, 2, now, 2)
	says(edge, 1, now+2, 1)
	says(edge, 2, now+3, 2)
	says(edge, 1, now+1, 2) // late
	says(edge, 1, now+3, 2) // a repeat
	says(edge, 0, now+4, 0)
	says(edge, 2, now+3, 0) // late, and nobody is there

	says(dead, 3, now, 3)
	says(edge, 1, now+5, 1, dead)
	says(dead, 4, now+9, 1) // from the grave
	says(dead, 2, 0, 3)     // without a number it counts
	log.Drop(t.Context(), dead, []uuid.UUID{w.Session})
	says(dead, 2, now+10, 1)

	hears(t, ear, w.Session, "session:connected several 2", "session:disconnected "+client.String()+" 1",
		"session:connected "+client.String()+" 2", "session:disconnected several 0", "session:connected several 3",
		"session:disconnected several 1", "session:connected several 3", "session:disconnected several 1")
	present, err := log.Present(t.Context(), []uuid.UUID{w.Session})
	must(t, err)
	if p := present[0]; p.Clients != 1 || len(p.Edges) != 1 {
		t.Errorf("present are %+v", p)
	}
}

func (s suite) swapped(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := Creates(t, log)
	ear := listener(t, rdb, w.Session)
	edge, now := begins(t, log), uint64(time.Now().UnixMilli())
	must(t, log.SetClients(t.Context(), w.Session, edge, 2))

	for range 2 { // the repeat is none
		c := eventlog.Count{Session: w.Session, Clients: 2, Swapped: true, Number: now}
		if p := log.Announce(t.Context(), edge, []eventlog.Count{c})[0]; p.Err != nil || p.Clients != 2 || p.Named {
			t.Errorf("%+v", p)
		}
	}

	hears(t, ear, w.Session, "session:connected several 2", "session:connected several 2")
}

func (s suite) forgets(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := Creates(t, log)
	old, young, edge := begins(t, log), begins(t, log), begins(t, log)
	says := func(edge string, n int, at time.Time) {
		t.Helper()
		count := eventlog.Count{Session: w.Session, Clients: n, Number: uint64(at.UnixMilli())}
		must(t, log.Announce(t.Context(), edge, []eventlog.Count{count})[0].Err)
	}
	for _, n := range []int{1, 0} {
		says(old, n, time.Now().Add(-2*time.Hour+time.Duration(1-n)*time.Minute))
		says(young, n, time.Now().Add(-time.Minute+time.Duration(1-n)*time.Second))
	}

	says(edge, 1, time.Now())

	fields, err := rdb.HKeys(t.Context(), Key(t, rdb, w.Session, "p")).Result()
	must(t, err)
	if slices.Contains(fields, "#"+old) || !slices.Contains(fields, "#"+young) || !slices.Contains(fields, "#"+edge) {
		t.Errorf("the session keeps %v of %s, %s and %s", fields, old, young, edge)
	}
}

func (s suite) replaced(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := Creates(t, log)
	ear := listener(t, rdb, w.Session)
	old, fresh, ghost := begins(t, log), begins(t, log), begins(t, log)
	must(t, log.SetClients(t.Context(), w.Session, old, 4))
	must(t, log.SetClients(t.Context(), w.Session, ghost, 1))

	moved := log.Announce(t.Context(), fresh, []eventlog.Count{{Session: w.Session, Clients: 4, Dead: []string{old, old, "nobody"}}})[0]
	left := log.Announce(t.Context(), fresh, []eventlog.Count{{Session: w.Session, Clients: 5, Client: uuid.New(), Dead: []string{ghost, fresh}}})[0]

	if moved.Err != nil || moved.Clients != 5 || moved.Event != "" || len(moved.Edges) != 2 {
		t.Errorf("an edge under a new id: %+v, want no news", moved)
	}
	if left.Err != nil || left.Clients != 5 || left.Event != "" || left.Edges[fresh] != 5 {
		t.Errorf("a ghost for a client: %+v, want the same sum", left)
	}
	hears(t, ear, w.Session, "session:connected several 4", "session:connected several 5")
}

func (s suite) dropped(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	const sessions, survivors = 20, 4
	dead, alive := begins(t, log), begins(t, log)
	var all []uuid.UUID
	var counts, mine []eventlog.Count
	for range sessions {
		id := Creates(t, log).Session
		all = append(all, id)
		counts, mine = append(counts, eventlog.Count{Session: id, Clients: 3}), append(mine, eventlog.Count{Session: id, Clients: 2})
	}
	elsewhere := Creates(t, log).Session
	log.Announce(t.Context(), dead, counts)
	log.Announce(t.Context(), alive, mine)
	ear := listener(t, rdb, all[0])

	var mu sync.Mutex
	told := map[uuid.UUID]int{}
	var together sync.WaitGroup
	for range survivors {
		together.Go(func() {
			for i, p := range log.Drop(t.Context(), dead, append(slices.Clone(all), elsewhere)) {
				mu.Lock()
				switch {
				case p.Err != nil:
					t.Error(p.Err)
				case p.Event == wire.SessionDisconnected && p.Clients == 2 && p.Edges[alive] == 2 && len(p.Edges) == 1:
					told[all[i]]++
				case p.Event != "":
					t.Errorf("dropped %+v", p)
				}
				mu.Unlock()
			}
		})
	}
	together.Wait()

	for i, id := range all {
		if told[id] != 1 {
			t.Errorf("session %d was told %d times", i, told[id])
		}
	}
	hears(t, ear, all[0], "session:disconnected several 2")
}

func (s suite) leases(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	ann, bob := begins(t, log), begins(t, log)
	expires(t, rdb, ann)
	expires(t, rdb, bob)
	seen, err := log.Leases(t.Context())
	must(t, err)
	if !slices.Contains(seen.Ended, ann) || !slices.Contains(seen.Ended, bob) || slices.Contains(seen.Living, ann) {
		t.Errorf("leases %+v", seen)
	}

	seen, err = log.RenewLease(t.Context(), ann)
	must(t, err)
	if !slices.Contains(seen.Living, ann) || slices.Contains(seen.Ended, ann) {
		t.Errorf("after the renewal: %+v", seen)
	}
	for range 2 { // the second judge finds it done
		dead, err := log.Bury(t.Context(), ann, bob)
		must(t, err)
		if !slices.Equal(dead, []string{bob}) {
			t.Errorf("buried %v, want only who did not come back", dead)
		}
	}

	_, err = log.RenewLease(t.Context(), bob)
	wants(t, err, eventlog.ErrLeaseLost)
	_, err = log.RenewLease(t.Context(), ann)
	must(t, err)
	if dead, err := log.Bury(t.Context()); err != nil || dead != nil {
		t.Errorf("nobody was buried as %v, %v", dead, err)
	}
}

func (s suite) presenceGone(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := Creates(t, log)
	edge := begins(t, log)
	must(t, log.SetClients(t.Context(), w.Session, edge, 1))
	must(t, log.Delete(t.Context(), w.Session, nil))

	wants(t, log.SetClients(t.Context(), w.Session, edge, 2), eventlog.ErrGone)
	wants(t, log.Drop(t.Context(), edge, []uuid.UUID{w.Session})[0].Err, eventlog.ErrGone)
	wants(t, log.Announce(t.Context(), edge, []eventlog.Count{{Session: uuid.New(), Clients: 1}})[0].Err, eventlog.ErrNoSession)

	if keys := Keys(t, rdb, w.Session); len(keys) != 1 {
		t.Errorf("a deleted session has the keys %v, want a tombstone", keys)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, log.Announce(ended, edge, []eventlog.Count{{Session: w.Session}})[0].Err, eventlog.ErrUnavailable)
}
