package e2e_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/talus-tally/talus/tests/harness"
)

func create(plan *harness.Plan, name string) map[string]any {
	return map[string]any{"session_id": plan.ID, "command_type": "CreateNode", "data": map[string]any{
		"blueprint_type_id": "thing", "name": name, "parent_id": plan.Node("plan")}}
}

func TestTheSameKeyTenTimesInParallelIsOneCommit(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 1})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	start := ann.Position().Version

	const times = 10
	answers := make([]harness.Answer, times)
	var all sync.WaitGroup
	for i := range times {
		all.Go(func() {
			a, err := harness.Do(http.MethodPost, sys.Command(i%2).URL+"/api/v1/commands/execute", create(plan, "house"),
				"Idempotency-Key", `"one-house"`, "Prefer", "return=minimal")
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	all.Wait()

	first := 0
	for i, a := range answers {
		if a.Status != http.StatusOK || string(a.Body) != string(answers[0].Body) {
			t.Errorf("answer %d: %d %s\nfirst: %s", i, a.Status, a.Body, answers[0].Body)
		}
		if a.Header.Get("Idempotency-Replayed") == "" {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d answers say that they were the first", first)
	}
	if d := ann.Creates("roof", "plan"); d.Version != start+2 {
		t.Errorf("the next command is version %d, want %d", d.Version, start+2)
	}
}

func TestAnotherRequestUnderTheSameKeyIsRefused(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1})
	plan := sys.NewPlan()
	url := sys.Command(0).URL + "/api/v1/commands/execute"
	harness.Must(t, http.StatusOK, http.MethodPost, url, create(plan, "house"), "Idempotency-Key", "k")

	a := harness.Must(t, http.StatusUnprocessableEntity, http.MethodPost, url, create(plan, "barn"), "Idempotency-Key", "k")

	if a.Code() != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("code %q", a.Code())
	}
}

func TestAnOldPositionInIfMatchChangesNothing(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 1})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	old := ann.Position().String()
	ann.Creates("house", "plan")
	graph := sys.Command(1).URL + "/api/v1/sessions/" + plan.ID + "/graph"
	before := harness.Must(t, http.StatusOK, http.MethodGet, graph, nil)

	refused := harness.Must(t, http.StatusPreconditionFailed, http.MethodPost,
		sys.Command(1).URL+"/api/v1/commands/execute", create(plan, "barn"), "If-Match", `"`+old+`"`)

	if refused.Code() != "VERSION_CONFLICT" {
		t.Errorf("code %q", refused.Code())
	}
	after := harness.Must(t, http.StatusOK, http.MethodGet, graph, nil)
	if string(before.Body) != string(after.Body) || before.Header.Get("ETag") != after.Header.Get("ETag") {
		t.Error("the graph changed")
	}
	harness.Must(t, http.StatusNotModified, http.MethodGet, graph, nil, "If-None-Match", after.Header.Get("ETag"))
	harness.Must(t, http.StatusOK, http.MethodPost, sys.Command(0).URL+"/api/v1/commands/execute", create(plan, "barn"),
		"If-Match", after.Header.Get("ETag"))
}

func TestAnInstanceThatIsBehindNeverAnswersFromItsOldGraph(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 1})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))                    // acts through the first
	ben := sys.JoinsVia("ben", plan, sys.Edge(0), sys.Command(1)) // acts through the second
	info := sys.Command(1).URL + "/api/v1/sessions/" + plan.ID + "/info"
	ben.Renames("plan", "plan") // the second instance has the graph in memory now

	for range 30 {
		made := ann.Creates("house", "plan")

		var seen struct{ Version uint64 }
		harness.Must(t, http.StatusOK, http.MethodGet, info, nil).Decode(t, &seen)
		if seen.Version < made.Version {
			t.Fatalf("info says version %d after %d was acknowledged", seen.Version, made.Version)
		}
		ben.Renames("house", "house") // the second instance must know the node
		ann.Deletes("house")
		ben.MayNot("NODE_NOT_FOUND", "DeleteNode", map[string]any{"node_id": plan.Node("house")})
		var graph json.RawMessage
		harness.Must(t, http.StatusOK, http.MethodGet, sys.Command(1).URL+"/api/v1/sessions/"+plan.ID+"/graph/tree", nil).Decode(t, &graph)
	}
}
