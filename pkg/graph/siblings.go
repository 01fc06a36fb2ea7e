package graph

import (
	"iter"
	"slices"
	"strings"
)

// chunkMax is the greatest number of siblings in one chunk: what an insertion may have to move or to copy.
const chunkMax = 256

// siblings is an ordered list of nodes, by order key and then by id. It is cut into chunks, so that an insertion into
// 100,000 siblings moves a few kilobytes.
type siblings struct {
	chunks []chunk
	n      int
}

// chunk is a run of siblings, never empty.
type chunk struct {
	nodes []*Node
	// shared chunks belong to the list this one is a copy of, and are copied before they are written.
	shared bool
}

func before(a, b *Node) int {
	if c := strings.Compare(a.Order, b.Order); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}

// newSiblings takes over nodes, which are sorted.
func newSiblings(nodes []*Node) *siblings {
	s := &siblings{n: len(nodes)}
	for part := range slices.Chunk(nodes, chunkMax/2) {
		s.chunks = append(s.chunks, chunk{nodes: part})
	}
	return s
}

// draft returns a list with the same nodes that can be changed without s noticing, as long as s itself does not change.
func (s *siblings) draft() *siblings {
	d := &siblings{chunks: slices.Clone(s.chunks), n: s.n}
	for i := range d.chunks {
		d.chunks[i].shared = true
	}
	return d
}

func (s *siblings) len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// seek returns the chunk and the offset in it where n is or belongs, and whether it is there.
func (s *siblings) seek(n *Node) (c, i int, found bool) {
	c, _ = slices.BinarySearchFunc(s.chunks, n, func(c chunk, n *Node) int { return before(c.nodes[len(c.nodes)-1], n) })
	if c == len(s.chunks) {
		return c, 0, false
	}
	i, found = slices.BinarySearchFunc(s.chunks[c].nodes, n, before)
	return c, i, found
}

// index returns the place of n, which need not be in the list: then it is the place where it would be.
func (s *siblings) index(n *Node) int {
	if s == nil {
		return 0
	}
	c, at, _ := s.seek(n)
	for _, c := range s.chunks[:c] {
		at += len(c.nodes)
	}
	return at
}

// at returns the node at place i, nil when there is none.
func (s *siblings) at(i int) *Node {
	if i < 0 || i >= s.len() {
		return nil
	}
	for _, c := range s.chunks {
		if i < len(c.nodes) {
			return c.nodes[i]
		}
		i -= len(c.nodes)
	}
	return nil
}

// owned returns the nodes of chunk c for writing.
func (s *siblings) owned(c int) []*Node {
	if s.chunks[c].shared {
		s.chunks[c] = chunk{nodes: slices.Clone(s.chunks[c].nodes)}
	}
	return s.chunks[c].nodes
}

// add inserts n, or replaces the node with its key and id.
func (s *siblings) add(n *Node) {
	if len(s.chunks) == 0 {
		s.chunks, s.n = []chunk{{nodes: []*Node{n}}}, 1
		return
	}
	c, i, found := s.seek(n)
	if found {
		s.owned(c)[i] = n
		return
	}
	if c == len(s.chunks) { // behind all: the last chunk grows
		c--
		i = len(s.chunks[c].nodes)
	}
	nodes := slices.Insert(s.owned(c), i, n)
	s.n++
	if len(nodes) <= chunkMax {
		s.chunks[c].nodes = nodes
		return
	}
	half := len(nodes) / 2
	s.chunks[c].nodes = nodes[:half:half]
	s.chunks = slices.Insert(s.chunks, c+1, chunk{nodes: slices.Clone(nodes[half:])})
}

// remove takes n out, found by its key and id.
func (s *siblings) remove(n *Node) {
	c, i, found := s.seek(n)
	if !found {
		return
	}
	s.n--
	if len(s.chunks[c].nodes) == 1 {
		s.chunks = slices.Delete(s.chunks, c, c+1)
		return
	}
	s.chunks[c].nodes = slices.Delete(s.owned(c), i, i+1)
}

// all yields the nodes in order.
func (s *siblings) all() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		if s == nil {
			return
		}
		for _, c := range s.chunks {
			for _, n := range c.nodes {
				if !yield(n) {
					return
				}
			}
		}
	}
}
