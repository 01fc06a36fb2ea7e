package session

import (
	"sync"

	"github.com/talus-tally/talus/services/command/internal/render"
)

// shown is the graph of a session as JSON. It is rendered once for each version that
// somebody asks for, however many ask.
type shown struct {
	mu   sync.Mutex
	last *Body
}

// body renders the state, which must not change meanwhile. After a change it is
// cleared.
func (s *shown) body(st *state) *Body {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = &Body{JSON: render.Graph(nil, st.graph, st.template), Position: st.pos, Nodes: st.graph.Len()}
	}
	return s.last
}

// clear forgets a version that is not the newest any more.
func (s *shown) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}

func (s *shown) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return 0
	}
	return int64(cap(s.last.JSON))
}
