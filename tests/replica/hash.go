package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
)

// enter counts a node in: its hash, its place, its parent's children.
func (r *Replica) enter(n *node) {
	r.sum += n.hash()
	r.places[n.place]++
	if p := r.nodes[n.parent]; p != nil {
		p.children++
	}
	r.touched[n.id] = true
}

// leave counts a node out before it changes.
func (r *Replica) leave(n *node) {
	r.sum -= n.hash()
	if r.places[n.place]--; r.places[n.place] == 0 {
		delete(r.places, n.place)
	}
	if p := r.nodes[n.parent]; p != nil {
		p.children--
	}
}

func (n *node) hash() uint64 {
	var short [512]byte
	b := short[:0]
	for _, text := range []string{n.id, n.kind, n.name, n.parent, n.order} {
		b = append(strconv.AppendInt(b, int64(len(text)), 10), ' ')
		b = append(b, text...)
	}
	for _, key := range slices.Sorted(maps.Keys(n.properties)) {
		b = append(append(strconv.AppendQuote(b, key), '='), n.properties[key]...)
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}

// Hash names the graph: two replicas with equal hashes hold the same nodes in the same order with the same values.
func (r *Replica) Hash() string {
	text := strconv.FormatUint(r.sum, 16)
	return "0000000000000000"[len(text):] + text
}

// Len is the number of nodes.
func (r *Replica) Len() int { return len(r.nodes) }

// NameOf is the name of the node with an id, and whether it is there.
func (r *Replica) NameOf(id string) (string, bool) {
	n := r.nodes[id]
	if n == nil {
		return "", false
	}
	return n.name, true
}

// ParentOf is the id of a node's parent; empty for a root.
func (r *Replica) ParentOf(id string) string {
	if n := r.nodes[id]; n != nil {
		return n.parent
	}
	return ""
}

// Has reports whether a node has that name.
func (r *Replica) Has(name string) bool {
	for _, n := range r.nodes {
		if n.name == name {
			return true
		}
	}
	return false
}

// IDs are the ids of all nodes, in no order.
func (r *Replica) IDs() []string { return slices.Collect(maps.Keys(r.nodes)) }
