package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// loses takes a node away from what Redis holds of a session.
func loses(t *testing.T, rdb redis.UniversalClient, session string) {
	t.Helper()
	nodes := rdb.Keys(t.Context(), "talus:*"+session+":n:*").Val()
	if len(nodes) != 1 {
		t.Fatalf("keys of nodes: %v", nodes)
	}
	one := rdb.HKeys(t.Context(), nodes[0]).Val()
	must(t, rdb.HDel(t.Context(), nodes[0], one[0]).Err())
}

func TestADamagedSessionIsClosedAndItsProjectGoesOn(t *testing.T) {
	t.Parallel()
	redis := redistest.Server(t)
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2, RedisURL: redis.URL()})
	plan := sys.NewPlan()
	ann, ben := sys.Joins("ann", plan, sys.Edge(0)), sys.Joins("ben", plan, sys.Edge(1))
	ann.Creates("house", "plan")
	ben.Sees("house")
	api := sys.Command(0).URL + "/api/v1"
	var saved struct {
		ProjectID string `json:"project_id"`
	}
	harness.Must(t, http.StatusOK, http.MethodPost, api+"/sessions/"+plan.ID+"/save", nil)
	harness.Must(t, http.StatusOK, http.MethodGet, api+"/sessions/"+plan.ID+"/info", nil).Decode(t, &saved)
	loses(t, redistest.Client(t, redis.URL()), plan.ID)

	refused := harness.Must(t, http.StatusGone, http.MethodPost, api+"/commands/execute", create(plan, "barn"))

	if refused.Code() != "SESSION_DAMAGED" || strings.Contains(string(refused.Body), `"retryable":true`) || refused.Header.Get("Retry-After") != "" {
		t.Errorf("refused with %s", refused.Body)
	}
	for _, p := range []*harness.Person{ann, ben} {
		if code := p.IsClosed(); code != 4004 {
			t.Errorf("closed with %d, want 4004", code)
		}
	}
	late := harness.Dial(t, sys.Edge(0), "?session_id="+plan.ID)
	if f := late.Want("error", ""); f.Code != "SESSION_DAMAGED" {
		t.Errorf("who came later was told %+v", f)
	}
	if code := late.CloseCode(); code != 4004 {
		t.Errorf("who came later was closed with %d, want 4004", code)
	}
	metrics := harness.Must(t, http.StatusOK, http.MethodGet, sys.Command(0).URL+"/metrics", nil)
	if !strings.Contains(string(metrics.Body), "\ntalus_session_condemned_total 1\n") {
		t.Error("the operator is not told")
	}
	other := sys.Command(1).URL + "/api/v1"
	harness.Must(t, http.StatusOK, http.MethodPost, other+"/projects/"+saved.ProjectID+"/load", nil)
	harness.Must(t, http.StatusNoContent, http.MethodDelete, other+"/sessions/"+plan.ID, nil)
	harness.Must(t, http.StatusNotFound, http.MethodGet, api+"/sessions/"+plan.ID+"/info", nil)
}
