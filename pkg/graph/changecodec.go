package graph

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	for _, n := range []*Node{a, b} {
		dst = appendBytes(append(appendBytes(dst, n.Name), n.Parent[:]...), n.Order)
	}
	return appendPatch(appendPatch(dst, a.Properties, b.Properties), a.Metadata, b.Metadata)
}

// appendPatch appends what turns the values a into b: each key that differs with both values, empty for none.
func appendPatch(dst []byte, a, b map[string]json.RawMessage) []byte {
	var few [fewKeys]string
	keys := appendDiffering(few[:0], a, b)
	dst = binary.AppendUvarint(dst, uint64(len(keys)))
	for _, key := range keys {
		dst = appendBytes(appendBytes(appendBytes(dst, key), a[key]), b[key])
	}
	return dst
}

// ParseChange reads a stored change against g, the graph that it is to be applied to. The error wraps ErrBroken when b is
// no stored change, or when g is not in the state that the change starts from or would be no forest after it.
func ParseChange(g *Graph, b []byte) (Change, error) {
	p := changeParser{reader: reader{b: bytes.Clone(b)}, draft: g.Draft()}
	if format := p.byte(); format != changeFormat {
		p.fail("format %d is unknown", format)
	}
	var ch Change
	for p.err == nil && len(p.b) > 0 {
		if t, ok := p.touch(); ok {
			p.draft.Put(t.ID(), t.After)
			ch.Touches = append(ch.Touches, t)
		}
	}
	if err := p.done(); err != nil {
		return Change{}, err
	}
	if err := p.draft.checkTouched(ch); err != nil {
		return Change{}, err
	}
	return ch, nil
}

// changeParser reads a stored change; its draft follows the touches.
type changeParser struct {
	reader
	draft *Graph
}

func (p *changeParser) touch() (t Touch, ok bool) {
	kind := p.byte()
	t.Placed = kind&flagPlaced != 0
	id := p.id()
	t.Before, ok = p.draft.Node(id)
	if p.err == nil && ok == (kind&^flagPlaced == touchCreate) {
		p.fail("node %s does not start where the graph is", id)
	}
	switch kind &^ flagPlaced {
	case touchCreate:
		t.After = p.image(id)
	case touchDelete:
	case touchUpdate:
		if p.err == nil {
			p.update(&t)
		}
	default:
		p.fail("touch of kind %d is unknown", kind)
	}
	return t, p.err == nil
}

// update reads what differs between the two states of a node, the first of which is the draft's.
func (p *changeParser) update(t *Touch) {
	t.Property = p.text()
	was := Node{Name: p.text(), Parent: p.id(), Order: p.text()}
	to := Node{Name: p.text(), Parent: p.id(), Order: p.text()}
	n := t.Before
	if p.err == nil && (n.Name != was.Name || n.Parent != was.Parent || n.Order != was.Order) {
		p.fail("node %s does not start where the graph is", n.ID)
	}
	to.ID, to.Type = n.ID, n.Type
	to.Properties, to.Metadata = p.patch(n.Properties), p.patch(n.Metadata)
	if p.err == nil && !validKey(to.Order) {
		p.fail("order key %q", to.Order)
	}
	t.After = &to
}

// patch returns values after the differences that come next.
func (p *changeParser) patch(values map[string]json.RawMessage) map[string]json.RawMessage {
	for range p.count(3) {
		key, was, to := p.text(), p.optional(), p.optional()
		if p.err == nil && !bytes.Equal(values[key], was) {
			p.fail("property %q does not start where the graph is", key)
		}
		if p.err != nil {
			return nil
		}
		values = put(values, key, to)
	}
	return values
}

// optional reads a value that may be none.
func (p *changeParser) optional() json.RawMessage {
	if len(p.b) > 0 && p.b[0] == 0 {
		p.b = p.b[1:]
		return nil
	}
	return p.value()
}
