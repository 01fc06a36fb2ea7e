package graph

import (
	"bytes"
	"fmt"
)

// imageFormat is the first byte of a stored node.
const imageFormat = 1

// AppendImage appends the stored form of n, without its id. Equal nodes have equal images.
func AppendImage(dst []byte, n *Node) []byte {
	dst = append(dst, imageFormat)
	dst = appendBytes(appendBytes(dst, n.Type), n.Name)
	dst = appendBytes(append(dst, n.Parent[:]...), n.Order)
	return appendMap(appendMap(dst, n.Properties), n.Metadata)
}

// ParseImage reads the stored form of the node with that id. It keeps nothing of b. The error wraps ErrBroken.
func ParseImage(id NodeID, b []byte) (*Node, error) {
	r := &reader{b: bytes.Clone(b)}
	n := r.image(id)
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("node %s: %w", id, err)
	}
	return n, nil
}

func (r *reader) image(id NodeID) *Node {
	if format := r.byte(); format != imageFormat {
		r.fail("format %d is unknown", format)
	}
	n := &Node{ID: id, Type: r.text(), Name: r.text(), Parent: r.id(), Order: r.text()}
	n.Properties, n.Metadata = r.valueMap(), r.valueMap()
	if r.err == nil && !validKey(n.Order) {
		r.fail("order key %q", n.Order)
	}
	return n
}
