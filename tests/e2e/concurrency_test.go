package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// ack is a command that was answered 2xx.
type ack struct {
	command string
	version uint64
}

// commits reads a session's log through the events route, from version 1 to the head.
func commits(t *testing.T, api, session string) []harness.Frame {
	t.Helper()
	var all []harness.Frame
	for {
		var page struct {
			Version uint64
			Commits []harness.Frame
		}
		after := uint64(0)
		if len(all) > 0 {
			after = all[len(all)-1].Version
		}
		harness.Must(t, http.StatusOK, http.MethodGet,
			fmt.Sprintf("%s/api/v1/sessions/%s/events?after=%d&limit=1000", api, session, after), nil).Decode(t, &page)
		all = append(all, page.Commits...)
		if len(page.Commits) == 0 || all[len(all)-1].Version >= page.Version {
			return all
		}
	}
}

// fold replays a log from nothing and checks that versions and digests form one chain without a hole.
func fold(t *testing.T, log []harness.Frame) *harness.Replica {
	t.Helper()
	replica := harness.NewReplica()
	for i, f := range log {
		if f.Version != uint64(i+1) {
			t.Fatalf("commit %d of the log is version %d", i+1, f.Version)
		}
		if i > 0 {
			if digest := log[i-1].Position[len(log[i-1].Position)-16:]; f.Prev != digest {
				t.Fatalf("version %d follows %s, the one before it is %s", f.Version, f.Prev, digest)
			}
		}
		for _, e := range f.Events {
			if err := replica.Apply(e.Event, e.Data); err != nil {
				t.Fatalf("version %d: %v", f.Version, err)
			}
		}
	}
	return replica
}

// graphOf is the graph that an instance answers, as a replica.
func graphOf(t *testing.T, api, session string) *harness.Replica {
	t.Helper()
	var g struct{ Graph json.RawMessage }
	harness.Must(t, http.StatusOK, http.MethodGet, api+"/api/v1/sessions/"+session+"/graph", nil).Decode(t, &g)
	r := harness.NewReplica()
	if err := r.Reset(g.Graph); err != nil {
		t.Fatal(err)
	}
	return r
}

// writer sends random commands and remembers the nodes that it made.
type writer struct {
	api, session, root string
	rng                *rand.Rand
	mine               []string
	acks               []ack
}

func (w *writer) pick() string {
	if len(w.mine) == 0 || w.rng.IntN(4) == 0 {
		return w.root
	}
	return w.mine[w.rng.IntN(len(w.mine))]
}

// next is a random command: mostly new nodes, renames and moves; sometimes a whole subtree goes.
func (w *writer) next() (string, map[string]any) {
	switch n := w.rng.IntN(10); {
	case n < 4 || len(w.mine) == 0:
		return "CreateNode", map[string]any{"blueprint_type_id": "thing", "name": fmt.Sprint("n", n), "parent_id": w.pick(),
			"properties": map[string]any{"cost": w.rng.Uint64()}}
	case n < 7:
		return "UpdateProperty", map[string]any{"node_id": w.pick(), "property_id": "status", "new_value": w.rng.IntN(1000)}
	case n < 9:
		return "MoveNode", map[string]any{"node_id": w.mine[w.rng.IntN(len(w.mine))], "new_parent_id": w.pick(), "index": w.rng.IntN(3)}
	default:
		return "DeleteNode", map[string]any{"node_id": w.mine[w.rng.IntN(len(w.mine))]}
	}
}

// act sends one command; a refusal by the graph's rules is an answer like any other.
func (w *writer) act() error {
	kind, data := w.next()
	id := uuid.NewString()
	a, err := harness.Do(http.MethodPost, w.api+"/api/v1/commands/execute",
		map[string]any{"session_id": w.session, "command_type": kind, "data": data, "command_id": id}, "Prefer", "return=minimal")
	if err != nil {
		return err
	}
	switch a.Status {
	case http.StatusOK:
		var done harness.Done
		if err := json.Unmarshal(a.Body, &done); err != nil {
			return err
		}
		w.acks = append(w.acks, ack{command: id, version: done.Version})
		if kind == "CreateNode" {
			w.mine = append(w.mine, done.NodeID)
		}
		return nil
	case http.StatusBadRequest, http.StatusNotFound: // somebody's move or deletion came before
		return nil
	default:
		return fmt.Errorf("%s: %d %s", kind, a.Status, a.Body)
	}
}

func TestManyWritersOnTwoInstancesLeaveOneLog(t *testing.T) {
	t.Parallel()
	const writers, commands = 16, 10_000
	sys := harness.Start(t, harness.Shape{Commands: 2, RedisURL: redistest.Real(t),
		Settings: map[string]string{"TALUS_LOG_RETENTION": "0"}})
	plan := sys.NewPlan()

	all := make([]*writer, writers)
	var running sync.WaitGroup
	for i := range all {
		w := &writer{api: sys.Command(i % 2).URL, session: plan.ID, root: plan.Node("plan"), rng: rand.New(rand.NewPCG(1, uint64(i)))}
		all[i] = w
		running.Go(func() {
			for range commands / writers {
				if err := w.act(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()

	log := commits(t, sys.Command(0).URL, plan.ID)
	byVersion := map[uint64]string{}
	for _, f := range log {
		byVersion[f.Version] = f.CommandID
	}
	acknowledged := 1 // loading the plan
	for _, w := range all {
		acknowledged += len(w.acks)
		for _, a := range w.acks {
			if byVersion[a.version] != a.command {
				t.Errorf("version %d is command %s in the log, %s was told so", a.version, byVersion[a.version], a.command)
			}
		}
	}
	if acknowledged < commands/2 {
		t.Errorf("only %d of %d commands were carried out", acknowledged, commands)
	}
	if len(log) != acknowledged {
		t.Errorf("%d commits in the log, %d were acknowledged", len(log), acknowledged)
	}
	folded := fold(t, log).Hash()
	for i := range 2 {
		if got := graphOf(t, sys.Command(i).URL, plan.ID).Hash(); got != folded {
			t.Errorf("instance %d holds another graph than the log", i)
		}
	}
	t.Logf("%d commands, %d commits", commands, len(log))
}
