package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// clientsOf is how many clients a command instance knows of a session, by its info and by the list of sessions.
func clientsOf(t *testing.T, api *harness.Instance, session string) (info, listed int) {
	t.Helper()
	type entry struct {
		ID            string `json:"session_id"`
		ActiveClients int    `json:"active_clients"`
	}
	var one entry
	harness.Must(t, http.StatusOK, http.MethodGet, api.URL+"/api/v1/sessions/"+session+"/info", nil).Decode(t, &one)
	listed = -1
	for cursor := ""; listed < 0; {
		var page struct {
			Sessions []entry `json:"sessions"`
			Cursor   string  `json:"cursor"`
		}
		harness.Must(t, http.StatusOK, http.MethodGet, api.URL+"/api/v1/sessions?limit=1000&cursor="+cursor, nil).Decode(t, &page)
		for _, e := range page.Sessions {
			if e.ID == session {
				listed = e.ActiveClients
			}
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	return one.ActiveClients, listed
}

func TestEverybodyKnowsHowManyThereAreOnAllEdges(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2})
	plan := sys.NewPlan()
	everywhere := func(n int, people ...*harness.Person) {
		t.Helper()
		for _, p := range people {
			p.Counts(n)
		}
		for i := range 2 {
			if info, listed := clientsOf(t, sys.Command(i), plan.ID); info != n || listed != n {
				t.Errorf("command %d: info says %d clients, the list %d, want %d", i, info, listed, n)
			}
		}
	}

	ann := sys.Joins("ann", plan, sys.Edge(0))
	ann.MeetsItself()
	everywhere(1, ann)
	ben := sys.Joins("ben", plan, sys.Edge(1))
	if f := ben.Gets("joined", func(f harness.Frame) bool { return f.Type == "joined" }); f.ClientCount != 2 {
		t.Errorf("ben was told of %d clients, want 2", f.ClientCount)
	}
	ben.MeetsItself()
	everywhere(2, ann, ben)
	cleo := sys.Joins("cleo", plan, sys.Edge(1))
	cleo.MeetsItself()
	everywhere(3, ann, ben, cleo)
	id := cleo.ID()
	cleo.Leaves()
	everywhere(2, ann, ben)

	for _, p := range []*harness.Person{ann, ben} {
		last := p.Announced()[len(p.Announced())-1]
		if last.Event != "session:disconnected" || last.ClientID != id {
			t.Errorf("the last announcement is %+v, want that %s went", last, id)
		}
	}
	ben.Reconnects(sys.Edge(0))
	ben.MeetsItself()
	everywhere(2, ann, ben)
}

func TestTheClientsOfAKilledEdgeAreCountedOutOnce(t *testing.T) {
	t.Parallel()
	redis := redistest.Real(t)
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 2, RedisURL: redis})
	plan := sys.NewPlan()
	victim := harness.Spawn(t, "edge", map[string]string{"TALUS_REDIS_URL": redis})
	ann, ben := sys.Joins("ann", plan, sys.Edge(0)), sys.Joins("ben", plan, sys.Edge(1))
	for i := range 3 {
		sys.Joins(fmt.Sprintf("guest %d", i), plan, victim.Instance)
	}
	ann.Counts(5)
	ben.Counts(5)
	<-time.After(7 * time.Second) // an edge judges others when it has been alive for a lease

	victim.Kill()
	died := time.Now()
	ann.Counts(2)
	took := time.Since(died)
	ben.Counts(2)

	if info, listed := clientsOf(t, sys.Command(0), plan.ID); info != 2 || listed != 2 {
		t.Errorf("info says %d clients, the list %d, want 2", info, listed)
	}
	<-time.After(3 * time.Second) // another announcement would have come
	for _, p := range []*harness.Person{ann, ben} {
		gone := slices.DeleteFunc(p.Announced(), func(a harness.Announcement) bool { return a.Event != "session:disconnected" })
		if len(gone) != 1 || gone[0].Count != 2 || gone[0].ClientID != "" {
			t.Errorf("announced gone: %+v, want once, without a name", gone)
		}
	}
	if took > 10*time.Second {
		t.Errorf("counted out after %v, want within 10 s", took)
	}
	t.Logf("3 clients of a killed edge were counted out after %v", took.Round(time.Millisecond))
}

func TestAStormOfJoinsDoesNotBecomeAStormOfFrames(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 2})
	plan := sys.NewPlan()
	const crowd = 200
	clients := make([]*harness.Client, crowd)
	began := time.Now()
	var joining sync.WaitGroup
	for i := range clients {
		joining.Go(func() {
			clients[i] = harness.Connect(t, fmt.Sprintf("client %d", i), sys.Edge(i%2), sys.Command(0), plan.ID)
		})
	}
	joining.Wait()
	took := time.Since(began)
	for _, c := range clients {
		c.MeetsItself()
		c.Counts(crowd)
	}

	all, most := 0, 0
	for _, c := range clients {
		n := len(c.Announced())
		all, most = all+n, max(most, n)
	}
	// Frames to all: 2,000 a second while the joins last, one write more per edge, and each client's own.
	limit := int(2000*(took+time.Second).Seconds()) + 2*crowd + crowd
	t.Logf("%d joins within %v: %d event frames in all (n² would be %d), %.1f for each client, at most %d",
		crowd, took.Round(time.Millisecond), all, crowd*crowd, float64(all)/crowd, most)
	if all > limit || all < crowd {
		t.Errorf("%d frames, want at most %d", all, limit)
	}
}
