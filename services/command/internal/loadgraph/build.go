package loadgraph

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
)

// unnamed is the name of a node that has none.
const unnamed = "Unnamed"

// Build makes the nodes, siblings side by side and in their order, with their order keys. With
// a template types and properties are brought into its terms, and what it does not know is
// counted; without one (nil) they stay as they are. The error is a *[Refusal].
func (d *Document) Build(template *blueprint.Template) ([]*graph.Node, blueprint.OrphanInfo, error) {
	b := &builder{d: d, template: template, types: map[string]string{}, keys: map[int][]string{}}
	nodes := make([]*graph.Node, len(d.order))
	for from := 0; from < len(d.order); {
		to := from + 1
		for to < len(d.order) && d.entries[d.order[to]].up == d.entries[d.order[from]].up {
			to++
		}
		keys := b.orderKeys(to - from)
		for i := from; i < to; i++ {
			n, err := b.node(d.order[i])
			if err != nil {
				return nil, blueprint.OrphanInfo{}, err
			}
			n.Order = keys[i-from]
			nodes[i] = n
		}
		from = to
	}

	return nodes, b.orphans, nil
}

// builder makes nodes. It shares between them what is equal.
type builder struct {
	d        *Document
	template *blueprint.Template
	orphans  blueprint.OrphanInfo
	types    map[string]string // types of nodes, as cursor keeps names
	keys     map[int][]string  // order keys by the number of siblings
	scratch  []value
}

// value is one member of an object, before it is copied.
type value struct {
	key string
	raw []byte
}

func (b *builder) orderKeys(n int) []string {
	keys, ok := b.keys[n]
	if !ok {
		keys = graph.OrderKeys(n)
		b.keys[n] = keys
	}

	return keys
}

func (b *builder) node(i int32) (*graph.Node, error) {
	e := &b.d.entries[i]
	n := &graph.Node{ID: e.uuid}
	if e.up != noEntry {
		n.Parent = b.d.entries[e.up].uuid
	}
	if !e.typ.empty() {
		c := cursor{b: b.d.body, keys: b.types}
		n.Type = c.key(e.typ)
	}
	n.Metadata = b.values(e.metadata)
	n.Properties = b.values(e.nodeData, e.properties)
	n.Name = b.name(e, n.Properties)
	if b.template != nil {
		b.template.Adopt(n, &b.orphans)
		b.mapReferences(n)
	}
	if utf8.RuneCountInString(n.Name) > b.d.limits.Name {
		return nil, refuseNodes("a name is too long", b.d.name(i))
	}

	return n, nil
}

// name is the node's name as the body has it. A name property of the template comes before it.
func (b *builder) name(e *entry, properties map[string]json.RawMessage) string {
	if !e.name.empty() {
		return textOf(b.d.body, e.name)
	}
	if raw := properties["name"]; len(raw) > 2 && raw[0] == '"' {
		return textOf(raw, span{0, uint32(len(raw))})
	}
	if !e.label.empty() {
		return textOf(b.d.body, e.label)
	}

	return unnamed
}

// values copies the members of objects in one allocation, as compact JSON; of equal keys the
// last counts, and null is no value.
func (b *builder) values(objects ...span) map[string]json.RawMessage {
	list, size := b.scratch[:0], 0
	for _, s := range objects {
		if s.empty() {
			continue
		}
		c := cursor{b: b.d.body, i: int(s.from), keys: b.d.keys}
		for key, raw := range c.members() {
			list = append(list, value{key: key, raw: raw})
			size += len(raw)
		}
	}
	b.scratch = list
	if len(list) == 0 {
		return nil
	}
	out, store := make(map[string]json.RawMessage, len(list)), make([]byte, 0, size)
	for _, v := range list {
		if v.raw[0] == 'n' {
			delete(out, v.key)

			continue
		}
		from := len(store)
		store = appendCompact(store, v.raw)
		out[v.key] = store[from:len(store):len(store)]
	}

	return out
}

// appendCompact appends a value without the space between its tokens.
func appendCompact(dst, raw []byte) []byte {
	if !bytes.ContainsAny(raw, " \t\r\n") || raw[0] == '"' {
		return append(dst, raw...)
	}
	var buf bytes.Buffer
	if json.Compact(&buf, raw) != nil { // The body has been checked.
		return append(dst, raw...)
	}

	return append(dst, buf.Bytes()...)
}

// mapReferences gives the values of node references the ids that their nodes have got: one id,
// or a list of them.
func (b *builder) mapReferences(n *graph.Node) {
	nt, ok := b.template.NodeType(n.Type)
	if !ok {
		return
	}
	for _, ref := range nt.NodeReferences() {
		if raw, ok := n.Properties[ref]; ok {
			n.Properties[ref] = mapReference(raw)
		}
	}
}

func mapReference(raw json.RawMessage) json.RawMessage {
	if raw[0] == '"' {
		text := textOf(raw, span{0, uint32(len(raw))})
		if text == "" {
			return raw
		}

		return appendID(nil, MapID(text))
	}
	if raw[0] != '[' {
		return raw
	}
	out := []byte{'['}
	c := cursor{b: raw}
	_ = c.array(func(i int) error { // The function has no error.
		if i > 0 {
			out = append(out, ',')
		}
		s, _ := c.value()
		if raw[s.from] == '"' && s.to-s.from > 2 {
			out = appendID(out, MapID(textOf(raw, s)))
		} else {
			out = append(out, raw[s.from:s.to]...)
		}

		return nil
	})

	return append(out, ']')
}

func appendID(dst []byte, id uuid.UUID) []byte {
	return append(append(append(dst, '"'), id.String()...), '"')
}
