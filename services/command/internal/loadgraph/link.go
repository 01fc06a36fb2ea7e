package loadgraph

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// linker finds out who hangs under whom.
type linker struct {
	d     *Document
	b     []byte
	index map[uuid.UUID]int32
	rank  []int32 // of the children of each entry, in the order in which the links were stated
	next  int32
}

// link turns ids into entries and all kinds of links into one parent per node, and puts the
// nodes of each parent in order: first as their parent lists them, then as the edges do, then as
// the nodes themselves name their parent.
func (d *Document) link(r *reader) error {
	l := &linker{d: d, b: d.body, index: make(map[uuid.UUID]int32, len(d.entries)), rank: make([]int32, len(d.entries))}
	for i := range d.entries {
		e := &d.entries[i]
		if other, twice := l.index[e.uuid]; twice {
			return refuseNodes("an id occurs twice", d.name(other), d.name(int32(i)))
		}
		l.index[e.uuid] = int32(i)
	}
	if err := l.all(r); err != nil {
		return err
	}
	l.arrange()

	return d.findCycle()
}

// name is the id of an entry as the body has it.
func (d *Document) name(i int32) string { return idText(d.body, d.entries[i].id) }

func (l *linker) all(r *reader) error {
	for i := range l.d.entries { // Children that stand in their parent keep the order of the text.
		l.rank[i] = int32(i)
	}
	l.next = int32(len(l.d.entries))
	for _, c := range r.children {
		if err := l.add(c.parent, c.child); err != nil {
			return err
		}
	}
	for _, e := range r.edges {
		parent, ok := l.find(e.source)
		if !ok {
			return refuseNodes("an edge names a node that is not there", idText(l.b, e.source))
		}
		if err := l.add(parent, e.target); err != nil {
			return err
		}
	}
	for i := range l.d.entries {
		e := &l.d.entries[i]
		if e.parent.empty() {
			continue
		}
		parent, ok := l.find(e.parent)
		if !ok {
			return refuseNodes(fmt.Sprintf("%q names a parent that is not there", l.d.name(int32(i))), idText(l.b, e.parent))
		}
		if err := l.join(parent, int32(i)); err != nil {
			return err
		}
	}

	return nil
}

func (l *linker) find(id span) (int32, bool) {
	i, ok := l.index[MapID(idText(l.b, id))]

	return i, ok
}

func (l *linker) add(parent int32, id span) error {
	i, ok := l.find(id)
	if !ok {
		return refuseNodes(fmt.Sprintf("%q names a child that is not there", l.d.name(parent)), idText(l.b, id))
	}

	return l.join(parent, i)
}

// join makes a link. One that is there already is dropped.
func (l *linker) join(parent, i int32) error {
	e := &l.d.entries[i]
	switch e.up {
	case parent:
	case noEntry:
		e.up = parent
		l.rank[i] = l.next
		l.next++
	default:
		return refuseNodes("a node has two parents", l.d.name(i), l.d.name(e.up), l.d.name(parent))
	}

	return nil
}

// arrange sorts the entries so that siblings stand side by side and in their order.
func (l *linker) arrange() {
	order := make([]int32, len(l.d.entries))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(l.d.entries[a].up, l.d.entries[b].up), cmp.Compare(l.rank[a], l.rank[b]))
	})
	l.d.order = order
}

// findCycle refuses links that lead back to where they began. Every node has one parent at most,
// so it walks up from each node until it meets one that is known to be fine.
func (d *Document) findCycle() error {
	const fine = -1
	walk := make([]int32, len(d.entries)) // number of the walk that came by, 0: none
	for i := range d.entries {
		number := int32(i) + 1
		at := int32(i)
		for at != noEntry && walk[at] == 0 {
			walk[at] = number
			at = d.entries[at].up
		}
		if at != noEntry && walk[at] == number {
			return d.cycle(at)
		}
		for at := int32(i); at != noEntry && walk[at] == number; at = d.entries[at].up {
			walk[at] = fine
		}
	}

	return nil
}

// cycle names the nodes of the cycle that goes through the entry.
func (d *Document) cycle(start int32) error {
	nodes := []string{d.name(start)}
	for at := d.entries[start].up; at != start; at = d.entries[at].up {
		nodes = append(nodes, d.name(at))
	}

	return refuseNodes("the links form a cycle", nodes...)
}
