package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/tests/harness"
)

func TestADrainingEdgeLosesNothing(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 2})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	ann.Creates("house", "plan")
	ann.Sees("house")

	sys.Edge(0).Stop()
	ann.IsSentAway()
	ann.Creates("roof", "house") // while nobody listens
	ann.Reconnects(sys.Edge(1))

	ann.Sees("roof")
}

// Every edge is replaced once, one after the other, while two people write. Everybody goes to where there is an edge, when
// they were told to.
func TestARollingRestartOfAllEdgesUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"TALUS_DRAIN": "3s", "TALUS_LOG_RETENTION": "0"}
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 3, Settings: settings})
	plan := sys.NewPlan()
	writers := []*harness.Person{sys.Joins("ann", plan, sys.Edge(2)), sys.JoinsVia("ben", plan, sys.Edge(2), sys.Command(1))}
	edges := []*harness.Instance{sys.Edge(0), sys.Edge(1)}
	var crowd [2][]*harness.Person
	for e, edge := range edges {
		for i := range 20 {
			crowd[e] = append(crowd[e], sys.Joins(fmt.Sprintf("p%d of edge %d", i, e), plan, edge))
		}
	}
	start := writers[0].Position().Version
	var over atomic.Bool
	var written atomic.Uint64
	var writing sync.WaitGroup
	for w, writer := range writers {
		writing.Go(func() {
			for i := 0; !over.Load(); i++ {
				writer.Creates(fmt.Sprintf("room %d/%d", w, i), "plan")
				written.Add(1)
			}
		})
	}

	for e := range edges {
		moving := goElsewhere(t, crowd[e], edges[1-e])
		before, began := written.Load(), time.Now()
		edges[e].Stop()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("edge %d drained for %v, longer than its time", e, took)
		}
		moving.Wait()
		edges[e] = sys.StartEdge(settings)
		crowd[1-e], crowd[e] = append(crowd[1-e], crowd[e]...), nil
		if written.Load() == before {
			t.Error("nobody wrote while the edge drained: the test shows nothing")
		}
	}
	over.Store(true)
	writing.Wait()

	n := written.Load()
	for _, p := range append(crowd[0], writers...) {
		p.Reaches(start + n)
		if got := uint64(len(p.Commits())); got != n {
			t.Errorf("%d commits reached somebody, %d were written", got, n)
		}
		p.SameGraphAs(writers[0])
	}
	t.Logf("%d commits reached %d people while two edges were replaced", n, len(crowd[0]))
}

// goElsewhere lets people wait until they are sent away, and then come back on another edge.
func goElsewhere(t *testing.T, people []*harness.Person, to *harness.Instance) *sync.WaitGroup {
	var moving sync.WaitGroup
	for _, p := range people {
		moving.Go(func() {
			after := p.IsSentAway()
			if after > time.Second {
				t.Errorf("told to come back after %v, although there is another edge", after)
			}
			<-time.After(after)
			p.Reconnects(to)
		})
	}
	return &moving
}

func TestASignalDrainsTheProcessAndItExitsWithZero(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
	edge := harness.Spawn(t, "edge", map[string]string{
		"TALUS_REDIS_URL": sys.RedisURL, "TALUS_DRAIN": "3s", "TALUS_DRAIN_DELAY": "300ms",
	})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, edge.Instance)

	began := time.Now()
	edge.Stop()

	if code, took := edge.ExitCode(), time.Since(began); code != 0 || took < 300*time.Millisecond || took > 4*time.Second {
		t.Errorf("exit code %d after %v", code, took)
	}
	ann.IsSentAway()
	if _, err := harness.Do(http.MethodGet, edge.URL+"/readyz", nil); err == nil {
		t.Error("it still answers")
	}
	ann.Creates("roof", "plan")
	ann.Reconnects(sys.Edge(0))
	ann.Sees("roof")
}
