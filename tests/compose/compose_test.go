package compose_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// project is what the test reads of an answer.
type project struct {
	SessionID string `json:"session_id"`
	Version   uint64 `json:"version"`
	Graph     struct {
		Roots []struct {
			ID              string   `json:"id"`
			AllowedChildren []string `json:"allowed_children"`
		} `json:"roots"`
	} `json:"graph"`
}

// creates makes a project from the first template and returns it.
func (s *stack) creates() project {
	s.t.Helper()
	var list struct {
		Templates []struct {
			ID string `json:"id"`
		} `json:"templates"`
	}
	s.gets(http.StatusOK, http.MethodGet, "/api/v1/templates", nil, &list)
	var p project
	s.gets(http.StatusCreated, http.MethodPost, "/api/v1/projects",
		map[string]string{"template_id": list.Templates[0].ID, "project_name": "Harbour"}, &p)
	return p
}

// adds creates a node below the project's root and returns the new version.
func (s *stack) adds(p project, name string) uint64 {
	s.t.Helper()
	root := p.Graph.Roots[0]
	var done project
	s.gets(http.StatusOK, http.MethodPost, "/api/v1/commands/execute", map[string]any{
		"session_id": p.SessionID, "command_type": "CreateNode",
		"data": map[string]string{"blueprint_type_id": root.AllowedChildren[0], "parent_id": root.ID, "name": name},
	}, &done)
	return done.Version
}

// listensOnEveryEdge joins through the proxy until it has spread the clients over n edges.
func (s *stack) listensOnEveryEdge(n int, session string) []*listener {
	s.t.Helper()
	byEdge := map[string]*listener{}
	for range 60 {
		l := s.listen(session)
		byEdge[l.edge] = l
		if len(byEdge) == n {
			break
		}
	}
	var listeners []*listener
	for _, l := range byEdge {
		listeners = append(listeners, l)
	}
	if len(listeners) != n {
		s.t.Fatalf("60 connections reached %d edges, want %d", len(listeners), n)
	}
	return listeners
}

// everyoneSees wants the commit of that version next at each listener, byte for byte the same.
func (s *stack) everyoneSees(listeners []*listener, version uint64) {
	s.t.Helper()
	var first []byte
	for _, l := range listeners {
		f, raw := s.next(l)
		if f.Version != version {
			s.t.Errorf("%s: version %d, want %d", l.edge, f.Version, version)
		}
		if first == nil {
			first = raw
		}
		if !bytes.Equal(raw, first) {
			s.t.Errorf("edges differ:\n%s\n%s", first, raw)
		}
	}
}

func TestTheComposedSystemReachesEveryEdgeAndSurvivesARestartOfRedis(t *testing.T) {
	s := up(t)
	s.eventually("seven containers, all healthy", func() bool {
		healthy := 0
		for _, status := range s.health() {
			if strings.Contains(status, "(healthy)") {
				healthy++
			}
		}
		return healthy == 7
	})

	s.hidesWhatIsNotForClients()
	plan := s.creates()
	listeners := s.listensOnEveryEdge(3, plan.SessionID)
	s.everyoneSees(listeners, s.adds(plan, "Quay"))
	last := s.adds(plan, "Crane")
	s.everyoneSees(listeners, last)

	s.must("restart", "redis")

	var kept project
	s.eventually("the session after the restart", func() bool {
		code, _ := s.call(http.MethodGet, "/api/v1/sessions/"+plan.SessionID+"/graph", nil)
		return code == http.StatusOK
	})
	s.gets(http.StatusOK, http.MethodGet, "/api/v1/sessions/"+plan.SessionID+"/graph", nil, &kept)
	if kept.Version != last {
		t.Errorf("version %d after the restart, %d before", kept.Version, last)
	}
	s.everyoneSees(listeners, s.adds(plan, "Lighthouse"))
}

// hidesWhatIsNotForClients wants the proxy to refuse the paths that only operators use.
func (s *stack) hidesWhatIsNotForClients() {
	s.t.Helper()
	for _, path := range []string{"/metrics", "/readyz", "/livez", "/"} {
		if code, body := s.call(http.MethodGet, path, nil); code != http.StatusNotFound || !bytes.Contains(body, []byte("NOT_FOUND")) {
			s.t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
