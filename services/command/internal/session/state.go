package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

// errStale says that a state cannot be brought forward and must be loaded again.
var errStale = errors.New("the state does not lead to the head")

// state is a session as it was committed at one position.
type state struct {
	pos        wire.Position
	generation uint32
	totals
	graph *graph.Graph
	identity
}

// identity is what a session is about besides its graph. It changes only together
// with the whole graph, or from none.
type identity struct {
	project    uuid.UUID           // zero: none is loaded
	templateID string              // empty: none
	template   *blueprint.Template // nil: none, or one that is not known here
}

// totals are what is known of all nodes together.
type totals struct {
	count, sum uint64 // as the log carries them: a check of every node against what is stored
	bytes      int64  // of the stored nodes
}

// schema is the template as the graph's rules. Without one everything is allowed.
func (st *state) schema() graph.Schema {
	if st.template == nil {
		return nil
	}
	return st.template
}

// newState builds the state that a load found. The log has compared the images with
// the count and the checksum already.
func newState(l eventlog.Loaded) (*state, error) {
	st := &state{
		pos: l.Head.Position, generation: l.Head.Generation, totals: totals{count: l.Head.Count, sum: l.Head.Sum}, graph: graph.New(),
	}
	st.templateID = l.Head.Template
	nodes := make([]*graph.Node, 0, len(l.Images))
	for id, image := range l.Images {
		n, err := graph.ParseImage(id, image)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTorn, err)
		}
		nodes = append(nodes, n)
		st.bytes += stored(image)
	}
	if err := st.graph.Load(slices.Values(nodes)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTorn, err)
	}
	if l.Head.Project != "" {
		project, err := uuid.Parse(l.Head.Project)
		if err != nil {
			return nil, fmt.Errorf("%w: project: %w", ErrTorn, err)
		}
		st.project = project
	}
	return st, nil
}

// stored is what a node of that image takes.
func stored(image []byte) int64 { return int64(len(uuid.UUID{}) + len(image)) }

// add counts a stored node in.
func (t *totals) add(id uuid.UUID, image []byte) {
	t.count++
	t.sum += wire.ImageHash(id, image)
	t.bytes += stored(image)
}

// remove counts a stored node out.
func (t *totals) remove(id uuid.UUID, image []byte) {
	t.count--
	t.sum -= wire.ImageHash(id, image)
	t.bytes -= stored(image)
}

// draft is a state that goes on from this one without touching it.
func (st *state) draft() *state {
	d := *st
	d.graph = st.graph.Draft()
	return &d
}

// advance moves the state to what a commit led to. Readers must be kept out.
func (st *state) advance(s step) {
	for id, n := range s.change.Writes() {
		st.graph.Put(id, n)
	}
	for id, n := range s.writes {
		st.graph.Put(id, n)
	}
	st.pos, st.totals = s.to, s.totals
	if s.project != nil {
		st.identity = *s.project
	}
}

// step leads a state from one position to a later one.
type step struct {
	to      wire.Position
	totals  totals
	change  graph.Change              // of one commit …
	writes  map[uuid.UUID]*graph.Node // … or what several wrote
	project *identity                 // nil: stays
}

// steps checks that entries continue the state's own chain, and works out what they
// did. They are applied as after-images, which is possible only on the state that
// they were made on: the chain of digests proves that, and the count and checksum
// in each record that nothing went wrong on the way. The error wraps errStale if
// the session must be loaded again.
func (st *state) steps(entries []eventlog.LogEntry) (step, error) {
	s := step{to: st.pos, totals: st.totals, writes: make(map[uuid.UUID]*graph.Node)}
	for _, e := range entries {
		if e.Record.Version <= s.to.Version {
			continue
		}
		if (!e.Record.Follows(s.to) || !e.Record.VerifyDelta(e.Delta)) && !planted.Is(planted.PrevUnchecked) {
			return step{}, fmt.Errorf("%w: record %d does not follow %v", errStale, e.Record.Version, s.to)
		}
		d, err := wire.ParseDelta(e.Delta)
		if err != nil {
			return step{}, fmt.Errorf("%w: %w", errStale, err)
		}
		if d.Replaced || d.Generation != st.generation || st.project == uuid.Nil {
			return step{}, fmt.Errorf("%w: version %d replaced the graph", errStale, e.Record.Version)
		}
		if err := s.follow(st, d); err != nil {
			return step{}, err
		}
		s.to = e.Record.Position()
	}
	return s, nil
}

func (s *step) follow(st *state, d wire.Delta) error {
	for _, im := range d.Images {
		if old := s.node(st, im.Node); old != nil {
			s.totals.remove(im.Node, graph.AppendImage(nil, old))
		}
		s.writes[im.Node] = nil
		if im.Bytes == nil {
			continue
		}
		n, err := graph.ParseImage(im.Node, im.Bytes)
		if err != nil {
			return fmt.Errorf("%w: node %s: %w", errStale, im.Node, err)
		}
		s.writes[im.Node] = n
		s.totals.add(im.Node, im.Bytes)
	}
	if planted.Is(planted.PrevUnchecked) {
		s.totals.count, s.totals.sum = d.Count, d.Sum
	}
	if s.totals.count != d.Count || s.totals.sum != d.Sum {
		return fmt.Errorf("%w: the checksum after version %d differs", errStale, s.to.Version+1)
	}
	return nil
}

// node is the node as the step leaves it, nil if it is gone.
func (s *step) node(st *state, id uuid.UUID) *graph.Node {
	if n, ok := s.writes[id]; ok {
		return n
	}
	n, _ := st.graph.Node(id)
	return n
}

// outcome works out what a change makes of the state: the totals, the nodes and
// their stored form.
func (st *state) outcome(ch graph.Change, paper *paper) (step, []wire.Image) {
	s := step{totals: st.totals, change: ch}
	images := make([]wire.Image, 0, len(ch.Touches))
	for id, n := range ch.Writes() {
		if old, ok := st.graph.Node(id); ok {
			s.totals.remove(id, graph.AppendImage(paper.rest(), old)) // written over by what comes next
		}
		im := wire.Image{Node: id}
		if n != nil {
			im.Bytes = paper.took(graph.AppendImage(paper.rest(), n))
			s.totals.add(id, im.Bytes)
		}
		images = append(images, im)
	}
	return s, images
}
