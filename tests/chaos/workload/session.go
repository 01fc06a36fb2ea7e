package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// session is one that the run has made, with what its writers think is in it.
type session struct {
	id     string
	canary string
	root   string
	logged wire.Position // how far the log is in the history; of one reader at a time

	mu      sync.Mutex
	nodes   []string
	parents map[string]string
	newest  wire.Position // that an answer named
	older   wire.Position // that was newest before
	tops    []uint64      // versions of own commands, newest last
}

// begin makes the sessions. Their ids and canaries do not come from the seed: another run with it must not find them.
func (w *workload) begin(ctx context.Context) error {
	rng := w.draws(1 << 32)
	for i := range w.Sessions {
		s := &session{canary: history.NewCanary(rand.Uint64()), root: newID(rng), parents: map[string]string{}}
		if err := w.create(ctx, s, uuid.NewString()); err != nil {
			return fmt.Errorf("workload: session %d: %w", i, err)
		}
		w.sessions = append(w.sessions, s)
	}
	return nil
}

// create makes a session and loads a graph of one node into it.
func (w *workload) create(ctx context.Context, s *session, key string) error {
	status, _, body, err := w.exchange(ctx, w.Commands[0], http.MethodPost, "/sessions", nil, http.Header{"Idempotency-Key": {key}})
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("POST /sessions: status %d: %w: %.200s", status, err, body)
	}
	var made struct {
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal(body, &made); err != nil {
		return fmt.Errorf("POST /sessions: %w", err)
	}
	s.id = made.SessionID
	w.Recorder.Record(history.Line{Kind: history.Note, F: history.Session, Session: s.id, Canary: s.canary})
	a := w.send(ctx, &request{session: s, f: history.Load, op: w.nextOp("setup"), attempt: 1, keyed: true, key: newID(w.draws(w.ops.Load())),
		path: "/sessions/" + s.id + "/load-graph", body: s.loadBody(), node: w.Commands[0]})
	if a.kind != history.OK {
		return fmt.Errorf("load-graph: status %d %s", a.status, a.code)
	}
	s.reset([]string{s.root})
	return nil
}

// loadBody is a graph of one node.
func (s *session) loadBody() []byte {
	return mustJSON(map[string]any{"graph": map[string]any{"nodes": []any{
		map[string]any{"id": s.root, "type": "thing", "name": "plan " + s.canary},
	}}})
}

// end deletes the sessions if that is wanted.
func (w *workload) end(ctx context.Context) error {
	if !w.Delete {
		return nil
	}
	for _, s := range w.sessions {
		if status, _, _, err := w.exchange(ctx, w.Commands[0], http.MethodDelete, "/sessions/"+s.id, nil, nil); err != nil || status >= 500 {
			return fmt.Errorf("workload: session %s is not deleted: status %d: %w", s.id, status, err)
		}
	}
	return nil
}

// reset takes a list of nodes for what is there.
func (s *session) reset(nodes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = slices.DeleteFunc(nodes, func(id string) bool { return id == s.root })
	slices.Sort(s.nodes) // the same draws find the same nodes
	s.nodes = append([]string{s.root}, s.nodes...)
}

// created notes a new node.
func (s *session) created(id, parent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, id)
	s.parents[id] = parent
}

// gone notes that a node is not there.
func (s *session) gone(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == s.root {
		return
	}
	s.nodes = slices.DeleteFunc(s.nodes, func(n string) bool { return n == id })
	delete(s.parents, id)
}

// moved notes where a node hangs.
func (s *session) moved(id, parent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents[id] = parent
}

// pick draws a node; the root only if others says so or there is no other.
func (s *session) pick(rng *rand.Rand, withRoot bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := 1
	if withRoot || len(s.nodes) == 1 {
		first = 0
	}
	return s.nodes[first+rng.IntN(len(s.nodes)-first)]
}

// parentOf is where a node was seen last; empty when it is not known.
func (s *session) parentOf(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parents[id]
}

func (s *session) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.nodes)
}

// at notes a position that an answer named; version is that of an own command, 0 for none.
func (s *session) at(p wire.Position, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Epoch != s.newest.Epoch || p.Version > s.newest.Version {
		s.older, s.newest = s.newest, p
	}
	if version > 0 {
		s.tops = append(s.tops[max(0, len(s.tops)-8):], version)
	}
}

// latest is the newest position known, and the newest own command.
func (s *session) latest() (wire.Position, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tops) == 0 {
		return s.newest, 0
	}
	return s.newest, s.tops[len(s.tops)-1]
}

// earlier is a position that the session has left behind.
func (s *session) earlier() wire.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.older
}

// newID draws a UUID.
func newID(rng *rand.Rand) string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

// mustJSON encodes what has a JSON form.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a mistake in this package
	}
	return text
}
