package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/tests/harness"
)

// project is a session made from a template, with the ways to it.
type project struct {
	t       *testing.T
	api     string
	session string
	root    string
}

func creates(t *testing.T, api string) *project {
	t.Helper()
	var made struct {
		SessionID string `json:"session_id"`
		Graph     struct{ Roots []struct{ ID string } }
	}
	harness.Must(t, http.StatusCreated, http.MethodPost, api+"/api/v1/projects",
		map[string]any{"template_id": "software-project", "project_name": "Lighthouse"}).Decode(t, &made)
	return &project{t: t, api: api + "/api/v1", session: made.SessionID, root: made.Graph.Roots[0].ID}
}

// does executes a command over REST and returns the node it made, if any.
func (p *project) does(kind string, data map[string]any) string {
	p.t.Helper()
	var done struct {
		NodeID string `json:"node_id"`
	}
	harness.Must(p.t, http.StatusOK, http.MethodPost, p.api+"/commands/execute",
		map[string]any{"session_id": p.session, "command_type": kind, "data": data}, "Prefer", "return=minimal").Decode(p.t, &done)
	return done.NodeID
}

func (p *project) creates(kind, name, parent string) string {
	p.t.Helper()
	return p.does("CreateNode", map[string]any{"blueprint_type_id": kind, "name": name, "parent_id": parent})
}

func (p *project) posts(what string, body any) {
	p.t.Helper()
	harness.Must(p.t, http.StatusOK, http.MethodPost, p.api+"/sessions/"+p.session+"/"+what, body, "Prefer", "return=minimal")
}

// causesEverything does what makes every type of event but those of comings and goings, and returns their names in order.
func (p *project) causesEverything() []string {
	p.t.Helper()
	lamp := p.creates("epic", "Lamp", p.root)
	tower := p.creates("epic", "Tower", p.root)
	lens := p.creates("story", "Lens", lamp)
	p.does("UpdateProperty", map[string]any{"node_id": lamp, "property_id": "outcome", "new_value": "light"})
	p.does("UpdateProperty", map[string]any{"node_id": lamp, "property_id": "outcome", "new_value": nil})
	p.does("MoveNode", map[string]any{"node_id": lens, "new_parent_id": tower})
	p.does("DeleteNode", map[string]any{"node_id": lamp})
	p.posts("undo", nil)
	p.posts("redo", nil)
	p.posts("save", nil)
	harness.Must(p.t, http.StatusBadRequest, http.MethodPost, p.api+"/commands/execute", map[string]any{"session_id": p.session,
		"command_type": "MoveNode", "data": map[string]any{"node_id": p.root, "new_parent_id": p.root}})
	p.posts("load-graph", map[string]any{"graph": map[string]any{"nodes": []any{map[string]any{"id": uuid.NewString(), "type": "epic", "name": "New"}}}})
	command := func(events ...string) []string {
		return slices.Concat([]string{"command:executing"}, events, []string{"command:executed"})
	}
	create := command("graph:node-created", "graph:node-linked")
	return slices.Concat(create, create, create, command("graph:property-changed"), command("graph:property-deleted"),
		command("graph:node-unlinked", "graph:node-linked"), command("graph:node-unlinked", "graph:node-deleted"),
		[]string{"graph:node-created", "graph:node-linked", "command:undo"},
		[]string{"graph:node-unlinked", "graph:node-deleted", "command:redo"},
		[]string{"project:saved", "command:failed", "project:loaded"})
}

// shipped is an event's name in the other dialect.
func shipped(name string) string {
	switch name {
	case "command:failed":
		return "command-executed"
	case "command:undo", "command:redo":
		return strings.TrimPrefix(name, "command:")
	default:
		return strings.ReplaceAll(strings.TrimPrefix(name, "graph:"), ":", "-")
	}
}

// watcher is a client in a session, with the dialect it speaks.
type watcher struct {
	*client
	shipped bool
}

// watches lets a client join a session when it has connected.
func (p *project) watches(kind, mode string, isShipped bool, url string, more map[string]any) watcher {
	p.t.Helper()
	o := options{Transports: modes[mode], Auth: map[string]any{}}
	dialect := "planned"
	if isShipped {
		dialect, o.Auth = "shipped", nil
	} else {
		o.Auth["session_id"] = p.session
		for k, v := range more {
			o.Auth[k] = v
		}
	}
	return watcher{kinds[kind](p.t, fmt.Sprintf("%s-%s-%s", kind, mode, dialect), url, o), isShipped}
}

// enters waits until the client is in the session, after it has connected.
func (w watcher) enters(p *project) {
	w.t.Helper()
	if w.shipped {
		w.emit("join_session", map[string]any{"session_id": p.session})
		w.event("joined")
	} else {
		w.event("session:connected")
	}
}

// everyKind makes a client of each kind, in each mode and dialect.
func (p *project) everyKind(url string) []watcher {
	p.t.Helper()
	var all []watcher
	for kind := range kinds {
		for mode := range modes {
			for _, isShipped := range []bool{false, true} {
				all = append(all, p.watches(kind, mode, isShipped, url, nil))
			}
		}
	}
	for _, w := range all {
		w.connects()
		w.enters(p)
	}
	return all
}

// seesAll compares what a watcher has seen of the session, but for comings and goings, with what has happened there. Events of
// commits come in order, each once; the others come once. Python's handlers run in threads of their own, in no order.
func (w watcher) seesAll(want []string, payloads *[]string) {
	w.t.Helper()
	var commits, others, texts []string
	for _, h := range w.history() {
		if h.Kind != "event" || h.Event == "joined" || strings.HasPrefix(h.Event, "session") {
			continue
		}
		if h.fields().Version > 0 {
			commits = append(commits, h.Event)
		} else {
			others = append(others, h.Event)
		}
		if len(h.Args) != 1 {
			w.t.Errorf("%s: %s has %d arguments", w.name, h.Event, len(h.Args))
		}
		var object map[string]any
		if err := json.Unmarshal(h.Args[0], &object); err != nil {
			w.t.Errorf("%s: %v", w.name, err)
		}
		text, _ := json.Marshal(object) // what was read can be written
		texts = append(texts, string(text))
	}
	var wantCommits, wantOthers []string
	for _, name := range want {
		list := &wantCommits
		if name == "project:saved" || name == "command:failed" {
			list = &wantOthers
		}
		if w.shipped {
			name = shipped(name)
		}
		*list = append(*list, name)
	}
	if strings.HasPrefix(w.name, "python") {
		slices.Sort(commits)
		slices.Sort(wantCommits)
	}
	slices.Sort(others)
	slices.Sort(wantOthers)
	slices.Sort(texts)
	if !slices.Equal(commits, wantCommits) || !slices.Equal(others, wantOthers) {
		w.t.Errorf("%s saw\n%q and %q, want\n%q and %q", w.name, commits, others, wantCommits, wantOthers)
	}
	if *payloads == nil {
		*payloads = texts
	}
	if !slices.Equal(texts, *payloads) {
		w.t.Errorf("%s saw other payloads than the first", w.name)
	}
}

// hasSeenAsManyAs reports whether the client has seen so many events, comings and goings left aside.
func (w watcher) hasSeenAsManyAs(want []string) bool {
	n := 0
	for _, h := range w.history() {
		if h.Kind == "event" && h.Event != "joined" && !strings.HasPrefix(h.Event, "session") {
			n++
		}
	}
	return n >= len(want)
}

func TestEveryClientInEveryModeAndDialectSeesEveryEvent(t *testing.T) {
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1, Settings: map[string]string{"TALUS_ALLOWED_ORIGINS": web.URL}})
	p := creates(t, sys.Command(0).URL)
	all := p.everyKind(sys.Edge(0).URL)

	want := p.causesEverything()

	var payloads []string
	for _, w := range all {
		harness.Eventually(t, w.name+" sees everything", func() bool { return w.hasSeenAsManyAs(want) })
		w.seesAll(want, &payloads)
	}
	for _, text := range payloads {
		var common struct {
			Session   string  `json:"session_id"`
			Project   *string `json:"project_id"`
			Timestamp string
		}
		if err := json.Unmarshal([]byte(text), &common); err != nil || common.Session != p.session || common.Project == nil || common.Timestamp == "" {
			t.Errorf("%s lacks what all events have", text)
		}
	}
	gone := all[0]
	gone.order(map[string]any{"close": true})
	for _, w := range all[1:] {
		if w.shipped {
			w.event("session-disconnected")
		} else {
			w.event("session:disconnected")
		}
	}
}

func TestCommandsAreAnsweredInTheirAcknowledgement(t *testing.T) {
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1, Settings: map[string]string{"TALUS_ALLOWED_ORIGINS": web.URL}})
	p := creates(t, sys.Command(0).URL)
	for kind := range kinds {
		w := p.watches(kind, "polling", kind == "python", sys.Edge(0).URL, nil)
		w.connects()
		w.enters(p)
		command := map[string]any{"session_id": p.session, "command_type": "CreateNode", "command_id": uuid.NewString(),
			"data": map[string]any{"blueprint_type_id": "epic", "name": "Lamp", "parent_id": p.root}}

		first, again := w.asks(1, "command", command), w.asks(2, "command", command)
		command["command_type"] = "Whistle"
		command["command_id"] = uuid.NewString()
		refused := w.asks(3, "command", command)

		if f := first.fields(); f.Node == "" || f.Version == 0 || f.Success == nil || !*f.Success {
			t.Errorf("%s: answered %s", kind, first.Args[0])
		}
		if f, g := first.fields(), again.fields(); f.Node != g.Node || f.Version != g.Version {
			t.Errorf("%s: answered %s, then %s", kind, first.Args[0], again.Args[0])
		}
		if !bytes.Contains(refused.Args[0], []byte(`INVALID_COMMAND`)) {
			t.Errorf("%s: answered %s", kind, refused.Args[0])
		}
		w.emit("ping")
		w.event("pong")
	}
}

func TestWhoNamesNoSessionIsRefusedAndToldWhy(t *testing.T) {
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1, Settings: map[string]string{"TALUS_ALLOWED_ORIGINS": web.URL}})
	for kind, start := range kinds {
		c := start(t, "refused-"+kind, sys.Edge(0).URL, options{Auth: map[string]any{"token": "x"}})
		got := c.await("a refusal", func(h happening) bool { return h.Kind == "refused" })
		if got.Reason != "session_id required" {
			t.Errorf("%s: told %q %s", kind, got.Reason, got.Args)
		}
	}
}
