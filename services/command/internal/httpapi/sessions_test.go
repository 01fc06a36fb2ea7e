package httpapi_test

import (
	"testing"
	"time"
)

func TestASessionIsMadeListedDescribedAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.want(t, 201, "POST", "/api/v1/sessions", nil).str("session_id")
	p := newPlan(t, s)

	info := s.want(t, 200, "GET", "/api/v1/sessions/"+id+"/info", nil)
	list := s.want(t, 200, "GET", "/api/v1/sessions", nil)

	wanted := object{
		"session_id": id, "active_clients": 0.0, "has_project": false, "project_id": nil, "template_id": nil,
		"undo_available": false, "redo_available": false, "node_count": 0.0, "is_dirty": false, "version": 0.0,
	}
	for field, want := range wanted {
		if got, there := info.body[field]; got != want || !there {
			t.Errorf("%s: got %v, want %v", field, got, want)
		}
	}
	for _, field := range []string{"created_at", "last_activity"} {
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", info.str(field)); err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
	if list.num("total") != 2 || len(list.at("sessions").([]any)) != 2 {
		t.Errorf("got %s", list.text)
	}
	if r := s.want(t, 204, "DELETE", "/api/v1/sessions/"+id, nil); r.text != "" {
		t.Errorf("got %q", r.text)
	}
	requireClear(t, "deleted", s.send(t, "GET", "/api/v1/sessions/"+id+"/info", nil), 404, "INVALID_SESSION")
	requireClear(t, "deleted twice", s.send(t, "DELETE", "/api/v1/sessions/"+id, nil), 404, "INVALID_SESSION")
	if left := s.want(t, 200, "GET", "/api/v1/sessions", nil); left.num("total") != 1 || left.str("sessions", 0, "session_id") != p.id {
		t.Errorf("got %s", left.text)
	}
}

func TestTheListOfSessionsComesInPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	want := map[string]bool{}
	for range 5 {
		want[s.want(t, 201, "POST", "/api/v1/sessions", nil).str("session_id")] = true
	}

	seen := map[string]bool{}
	for path := "/api/v1/sessions?limit=2"; path != ""; {
		page := s.want(t, 200, "GET", path, nil)
		for _, row := range page.at("sessions").([]any) {
			seen[row.(map[string]any)["session_id"].(string)] = true
		}
		path = ""
		if cursor := page.str("cursor"); cursor != "" {
			path = "/api/v1/sessions?limit=2&cursor=" + cursor
		}
	}

	if len(seen) != len(want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}

func TestSavingMakesASessionCleanAndUndoMakesItDirty(t *testing.T) {
	t.Parallel()
	p := newPlan(t, start(t))
	p.item(t, p.root, "leaf")
	dirty := func() any { return p.want(t, 200, "GET", p.path("/dirty"), nil).at("is_dirty") }
	if dirty() != true {
		t.Error("a change does not make the session dirty")
	}

	saved := p.want(t, 200, "POST", p.path("/save"), `this body is ignored`)

	if saved.at("success") != true || saved.str("session_id") != p.id || saved.str("project_id") != p.project ||
		saved.at("is_dirty") != false || saved.num("version") != 2 || dirty() != false {
		t.Errorf("save: %s", saved.text)
	}
	if p.want(t, 200, "POST", p.path("/undo"), nil); dirty() != true {
		t.Error("an undo after a save does not make the session dirty")
	}
	reset := p.want(t, 200, "POST", p.path("/reset-dirty"), nil)
	if reset.str("message") == "" || reset.at("is_dirty") != false || dirty() != false {
		t.Errorf("reset: %s", reset.text)
	}
}

func TestIdleSessionsAreCleanedUp(t *testing.T) {
	t.Parallel()
	s := start(t)
	newPlan(t, s)
	s.want(t, 201, "POST", "/api/v1/sessions", nil)

	kept := s.want(t, 200, "POST", "/api/v1/sessions/cleanup", nil)
	none := s.want(t, 200, "POST", "/api/v1/sessions/cleanup", object{"max_inactive_hours": 1e300})
	gone := s.want(t, 200, "POST", "/api/v1/sessions/cleanup", object{"max_inactive_hours": 0})

	if kept.num("sessions_removed") != 0 || kept.num("active_sessions") != 2 || none.num("sessions_removed") != 0 {
		t.Errorf("got %s and %s", kept.text, none.text)
	}
	if gone.num("sessions_removed") != 2 || gone.num("active_sessions") != 0 {
		t.Errorf("got %s", gone.text)
	}
}

func TestCallsOutsideTheScopeAnswerEmpty(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.want(t, 201, "POST", "/api/v1/sessions", nil).str("session_id")

	velocity := s.want(t, 200, "GET", "/api/v1/sessions/"+id+"/velocity", nil)
	blocking := s.want(t, 200, "GET", "/api/v1/sessions/"+id+"/blocking-graph", nil)

	if len(velocity.at("nodes").([]any)) != 0 || velocity.num("timestamp") == 0 ||
		len(blocking.at("relationships").([]any)) != 0 || blocking.num("timestamp") == 0 {
		t.Errorf("got %s and %s", velocity.text, blocking.text)
	}
}

func TestPagesOfAllowedOriginsMayCallTheAPI(t *testing.T) {
	t.Parallel()
	s := start(t)
	preflight := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,idempotency-key"}

	allowed := s.want(t, 200, "GET", "/api/v1/health", nil, "Origin", "https://plan.example")
	failed := s.want(t, 404, "GET", "/api/v1/icons/x", nil, "Origin", "https://plan.example")
	foreign := s.want(t, 200, "GET", "/api/v1/health", nil, "Origin", "https://evil.example")
	asked := s.want(t, 204, "OPTIONS", "/api/v1/commands/execute", nil, append(preflight, "Origin", "https://plan.example")...)
	refused := s.want(t, 204, "OPTIONS", "/api/v1/commands/execute", nil, append(preflight, "Origin", "https://evil.example")...)

	for _, r := range []reply{allowed, failed, asked} {
		if r.header.Get("Access-Control-Allow-Origin") != "https://plan.example" || r.header.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("allowed origin: %v", r.header)
		}
	}
	for _, r := range []reply{foreign, refused} {
		if r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("Vary") == "" {
			t.Errorf("foreign origin: %v", r.header)
		}
	}
	if asked.header.Get("Access-Control-Allow-Headers") == "" || asked.header.Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("preflight: %v", asked.header)
	}
}
