package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/tests/harness"
)

// flatProject is a project in the original's file form: flat nodes with children lists and ids that are no UUIDs.
func flatProject(nodes int) map[string]any {
	type node = map[string]any
	list := make([]node, nodes)
	for i := range list {
		list[i] = node{"id": fmt.Sprintf("node-%d", i), "type": "task", "name": fmt.Sprintf("Task %d", i),
			"properties": node{"name": fmt.Sprintf("Task %d", i), "estimate": i, "follows": fmt.Sprintf("node-%d", i/2)},
			"metadata":   node{"colour": "blue"}, "children": []string{}}
		if i > 0 {
			parent := list[(i-1)/10]
			parent["children"] = append(parent["children"].([]string), fmt.Sprintf("node-%d", i))
		}
	}
	return map[string]any{
		"graph": map[string]any{"nodes": list},
		"blocking_relationships": []any{
			map[string]any{"blockedNodeId": "node-7", "blockingNodeId": "node-3"},
		},
	}
}

// idOf is the id that Talus gives to a node whose own id is no UUID: UUIDv5 in the DNS namespace.
func idOf(text string) string { return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(text)).String() }

func TestAProjectOfTenThousandNodesIsLoadedEditedSavedAndLoadedAgain(t *testing.T) {
	t.Parallel()
	const nodes = 10_000
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 1})
	api := sys.Command(0).URL + "/api/v1"
	var made struct {
		SessionID string `json:"session_id"`
	}
	harness.Must(t, http.StatusCreated, http.MethodPost, api+"/sessions", nil).Decode(t, &made)
	session := api + "/sessions/" + made.SessionID

	harness.Must(t, http.StatusOK, http.MethodPost, session+"/load-graph", flatProject(nodes), "Prefer", "return=minimal")
	var done harness.Done
	harness.Must(t, http.StatusOK, http.MethodPost, api+"/commands/execute", map[string]any{
		"session_id": made.SessionID, "command_type": "MoveNode",
		"data": map[string]any{"node_id": idOf("node-9999"), "new_parent_id": idOf("node-3")},
	}, "Prefer", "return=minimal").Decode(t, &done)
	var saved struct {
		ProjectID string `json:"project_id"`
		IsDirty   bool   `json:"is_dirty"`
	}
	harness.Must(t, http.StatusOK, http.MethodPost, session+"/save", nil).Decode(t, &saved)
	var loaded struct {
		SessionID string          `json:"session_id"`
		Graph     json.RawMessage `json:"graph"`
	}
	other := sys.Command(1).URL + "/api/v1"
	harness.Must(t, http.StatusOK, http.MethodPost, other+"/projects/"+saved.ProjectID+"/load", map[string]any{}).Decode(t, &loaded)

	if saved.IsDirty {
		t.Error("the session is dirty after it was saved")
	}
	if loaded.SessionID == made.SessionID {
		t.Error("the project was loaded into the old session")
	}
	again := harness.NewReplica()
	if err := again.Reset(loaded.Graph); err != nil {
		t.Fatal(err)
	}
	if again.Len() != nodes {
		t.Errorf("%d nodes, want %d", again.Len(), nodes)
	}
	if again.ParentOf(idOf("node-9999")) != idOf("node-3") {
		t.Error("the move was not saved")
	}
	if again.Hash() != graphOf(t, sys.Command(0).URL, made.SessionID).Hash() {
		t.Error("the loaded graph differs from the one that was saved")
	}
	var blocking struct {
		Relationships []struct{ BlockedNodeID, BlockingNodeID string }
	}
	harness.Must(t, http.StatusOK, http.MethodGet, session+"/blocking-graph", nil).Decode(t, &blocking)
	if len(blocking.Relationships) != 1 || blocking.Relationships[0].BlockedNodeID != idOf("node-7") ||
		blocking.Relationships[0].BlockingNodeID != idOf("node-3") {
		t.Errorf("blocking relationships %+v", blocking.Relationships)
	}
}
