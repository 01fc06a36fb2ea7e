package check

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/replica"
)

// entry is one commit of a log.
type entry struct {
	line    int
	pos     wire.Position
	prev    wire.Digest
	payload string
	command string
	kind    string // command_type
	actor   string
	uid     string

	raw    json.RawMessage // until the log is folded
	hash   string          // of the graph after it; empty when it is not known
	stacks stackView       // after it
	begun  int64           // when it was asked for; 0 when nobody of this run did
}

// chain is the log of a session: the branch that survived.
type chain struct {
	log     []entry
	trimmed bool   // the log began later than version 1 when it was read
	oldest  uint64 // version that it had at the end; what was read before may be older
	missing string // why the log could not be read
	nodes   map[string][]span
	asked   map[uint64]bool // versions at which somebody read the stacks
}

// span is when a node was there: from a version on, up to the one that deleted it (0: it is still there).
type span struct{ from, to uint64 }

// index is the place of a version in the log.
func (c *chain) index(version uint64) (int, bool) {
	i, ok := slices.BinarySearchFunc(c.log, version, func(e entry, v uint64) int { return cmp.Compare(e.pos.Version, v) })
	return i, ok
}

// head is where the log ends.
func (c *chain) head() wire.Position {
	if len(c.log) == 0 {
		return wire.Position{}
	}
	return c.log[len(c.log)-1].pos
}

// has reports whether a position is on the branch that survived, as far as the log tells: what was before its beginning
// is taken to be.
func (c *chain) has(p wire.Position) bool {
	if i, ok := c.index(p.Version); ok {
		return c.log[i].pos == p
	}
	if len(c.log) == 0 {
		return c.missing == "" && p.Version == 0
	}
	first := &c.log[0]
	if p.Version+1 == first.pos.Version {
		return p.Epoch == first.pos.Epoch && p.Digest == first.prev
	}
	return p.Version < first.pos.Version && p.Epoch == first.pos.Epoch
}

// frame is what a commit frame holds that the checks need.
type frame struct {
	CommandID   string `json:"command_id"`
	CommandType string `json:"command_type"`
	Actor       string `json:"actor"`
	Events      []struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	} `json:"events"`
}

// append takes the next commit of the log (C1). A log may be read again from an earlier version: what it says then must
// be what it said before, unless data was lost.
func (s *session) append(r *run, number int, l *history.Line) {
	pos, err := wire.ParsePosition(l.Position)
	prev, perr := wire.ParseDigest(l.Prev)
	if err != nil || perr != nil {
		r.violates(Contiguous, at(number), "session %s: an entry of the log has no position: %q after %q", s.id, l.Position, l.Prev)
		return
	}
	if i, ok := s.index(pos.Version); ok {
		if s.log[i].pos == pos && s.log[i].payload == l.Payload {
			return
		}
		if !r.lossBefore(s.id, l.T) {
			r.violates(Contiguous, at(s.log[i].line, number), "session %s: version %d of the log was another commit before", s.id, pos.Version)
		}
		s.log = s.log[:i]
	}
	e := entry{line: number, pos: pos, prev: prev, payload: l.Payload, command: l.Command, kind: l.CommandType, actor: l.Actor, uid: l.UID, raw: l.Raw}
	head := s.head()
	if len(s.log) > 0 && pos.Version < head.Version {
		r.violates(Contiguous, at(number), "session %s: version %d of the log came after version %d", s.id, pos.Version, head.Version)
		return
	}
	if len(s.log) > 0 && (pos.Version != head.Version+1 || prev != head.Digest || pos.Epoch != head.Epoch) {
		r.violates(Contiguous, at(s.log[len(s.log)-1].line, number), "session %s: version %d of the log does not follow version %d", s.id, pos.Version, head.Version)
	}
	s.log = append(s.log, e)
}

// finish notes how far the log was read.
func (s *session) finish(r *run, number int, l *history.Line) {
	s.missing = l.Text
	s.trimmed, s.oldest = s.trimmed || l.Reason == "trimmed", l.Oldest
	if l.Text != "" {
		if !r.lossBefore(s.id, l.T) {
			r.violates(Contiguous, at(number), "session %s: the log could not be read: %s", s.id, l.Text)
		}
		return
	}
	head, err := wire.ParsePosition(l.Position)
	if i, ok := s.index(head.Version); ok && err == nil && s.log[i].pos == head && r.lossBefore(s.id, l.T) {
		s.log = s.log[:i+1] // what was read behind it before is lost
	}
	if err == nil && head.Version > 0 && head != s.head() {
		r.violates(Contiguous, at(number), "session %s: the log ends at %v, the head is %v", s.id, s.head(), head)
	}
}

// lossBefore reports whether data of the session was lost before t. It may be asked before losses.
func (r *run) lossBefore(session string, t int64) bool {
	return slices.ContainsFunc(r.marks, func(m mark) bool { return m.name == history.Loss && m.t <= t && m.concerns(session) })
}

// foldLogs goes through all logs once: contiguous, sound, and what undo should do.
func (r *run) foldLogs() {
	r.losses()
	for _, s := range r.sessions {
		s.seen = make([]witness, len(s.log))
		r.unique(s)
		r.fold(s)
		r.attribute(s)
	}
}

// fold replays the log (C10), hashes the graph after each commit, and replays both stacks beside it (C11).
func (r *run) fold(s *session) {
	s.nodes, s.asked = map[string][]span{}, map[uint64]bool{}
	for _, q := range s.reads {
		if q.stacks != nil {
			s.asked[q.pos.Version] = true
		}
	}
	var graph *replica.Replica // nil: not known from here on
	if len(s.log) > 0 && s.log[0].pos.Version == 1 {
		graph = replica.New()
	}
	model := newModel(r.cfg.UndoDepth, graph != nil)
	for i := range s.log {
		e := &s.log[i]
		var f frame
		if err := json.Unmarshal(e.raw, &f); err != nil {
			r.violates(Integrity, at(e.line), "session %s: version %d cannot be read: %v", s.id, e.pos.Version, err)
			return
		}
		graph = r.step(s, e, &f, graph)
		e.raw = nil
		model.commit(r, s, e, &f)
	}
}

// step applies one commit and returns the graph after it; nil when that is not known.
func (r *run) step(s *session, e *entry, f *frame, graph *replica.Replica) *replica.Replica {
	for _, event := range f.Events {
		if event.Event == "project:loaded" {
			graph = replica.New()
		}
		if graph == nil {
			return nil
		}
		err := graph.Apply(event.Event, event.Data)
		if errors.Is(err, replica.ErrFetch) {
			return nil
		}
		if err != nil {
			r.violates(Integrity, at(e.line), "session %s: version %d breaks the graph: %v", s.id, e.pos.Version, err)
			return nil
		}
		s.live(event.Event, event.Data, e.pos.Version, graph)
	}
	if graph == nil {
		return nil
	}
	r.looked(Integrity)
	if err := graph.Settle(); err != nil {
		r.violates(Integrity, at(e.line), "session %s: version %d leaves the graph broken: %v", s.id, e.pos.Version, err)
	}
	e.hash = graph.Hash()
	return graph
}

// live notes from when to when nodes are there.
func (s *session) live(event string, data json.RawMessage, version uint64, graph *replica.Replica) {
	switch event {
	case "graph:node-created", "graph:node-deleted":
		var e struct {
			NodeID string `json:"node_id"`
		}
		if json.Unmarshal(data, &e) != nil {
			return
		}
		if spans := s.nodes[e.NodeID]; event == "graph:node-deleted" && len(spans) > 0 {
			spans[len(spans)-1].to = version
		} else if event == "graph:node-created" {
			s.nodes[e.NodeID] = append(spans, span{from: version})
		}
	case "project:loaded":
		for _, spans := range s.nodes {
			if last := &spans[len(spans)-1]; last.to == 0 {
				last.to = version
			}
		}
		for _, id := range graph.IDs() {
			s.nodes[id] = append(s.nodes[id], span{from: version})
		}
	}
}
