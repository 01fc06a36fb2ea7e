package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/tests/harness"
)

// creation is a command over the socket that makes a node.
func creation(plan *harness.Plan, id, name string) string {
	body := create(plan, name)
	body["type"], body["id"], body["command_id"] = "command", "1", id
	text, _ := json.Marshal(body)
	return string(text)
}

func TestACommandOverTheSocketIsAnsweredOnItAndSeenByAll(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 2})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(1))
	ben := harness.Dial(t, sys.Edge(0), "") // who sends a command need not have joined
	command := creation(plan, uuid.NewString(), "roof")

	ben.Send(command)
	first := ben.Resolves("1")
	ben.Send(command)
	again := ben.Resolves("1")

	ann.Sees("roof")
	if first.Status != http.StatusOK || first.Body.NodeID == "" || first.Body.Graph != nil || first.Replayed {
		t.Errorf("answered %+v", first)
	}
	if !again.Replayed || again.Body.Version != first.Body.Version || again.Body.NodeID != first.Body.NodeID {
		t.Errorf("the repeat was answered %+v, the command %+v", again, first)
	}
}

func TestACommandForAnUnknownSessionIsRefusedOverTheSocket(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
	ben := harness.Dial(t, sys.Edge(0), "")

	ben.Send(fmt.Sprintf(`{"type":"command","id":"1","session_id":"%s","command_type":"CreateNode","data":{}}`, uuid.New()))

	if got := ben.Resolves("1"); got.Status != http.StatusNotFound || got.Body.Error.Code != "INVALID_SESSION" {
		t.Errorf("answered %+v", got)
	}
}

func TestWithoutACommandServiceCommandsOverTheSocketCanBeRepeated(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
	plan := sys.NewPlan()
	ben := harness.Dial(t, sys.Edge(0), "")
	command := creation(plan, uuid.NewString(), "roof")

	sys.Command(0).Stop()
	ben.Send(command)

	if got := ben.Resolves("1"); got.Status != http.StatusServiceUnavailable || !got.Body.Retryable {
		t.Errorf("answered %+v", got)
	}
}
