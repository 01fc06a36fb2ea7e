package loadgraph

import (
	"errors"

	"github.com/google/uuid"
)

// entry is one node as the body has it.
type entry struct {
	id         span
	typ        span
	name       span
	label      span
	parent     span
	properties span
	nodeData   span // data.nodeData.properties
	metadata   span
	uuid       uuid.UUID
	up         int32 // the entry of its parent, noEntry: it is a root
}

const noEntry int32 = -1

// node reads one node and the nodes in it. above is the entry that it stands in.
func (r *reader) node(above int32, depth int) error {
	switch {
	case r.b[r.i] != '{':
		return refuse("a node must be an object")
	case depth > r.limits.Depth:
		return refuse("nodes are nested deeper than %d levels", r.limits.Depth)
	case len(r.entries) == r.limits.Nodes:
		return refuse("there are more than %d nodes", r.limits.Nodes)
	}
	at := int32(len(r.entries))
	r.entries = append(r.entries, entry{up: above})
	f := fields{r: r, at: at, depth: depth}
	if err := r.object(f.member); err != nil {
		return f.blame(err)
	}
	e := &f.entry
	if e.id.empty() {
		return refuse("a node has no id")
	}
	e.typ, e.parent, e.up = first(f.types[:]), first(f.parents[:]), above
	if e.uuid = MapID(idText(r.b, e.id)); e.uuid == uuid.Nil {
		return f.blame(refuse("the zero UUID is no id of a node"))
	}
	r.entries[at] = *e

	return nil
}

// fields collects the members of one node.
type fields struct {
	entry

	r       *reader
	at      int32
	depth   int
	types   [3]span // by precedence
	parents [2]span
}

func (f *fields) member(key string) (err error) {
	switch key {
	case "id":
		f.id, err = f.r.id(key)
	case "type":
		f.types[0], err = f.r.words(key)
	case "blueprint_type_id":
		f.types[1], err = f.r.words(key)
	case "blueprintType":
		f.types[2], err = f.r.words(key)
	case "name":
		f.name, err = f.r.words(key)
	case "label":
		f.label, err = f.r.words(key)
	case "properties":
		f.properties, err = f.r.values(key, f.r.limits.ValueDepth, f.r.limits.Value)
	case "metadata":
		f.metadata, err = f.r.values(key, f.r.limits.ValueDepth+1, len(f.r.b)) // Holds orphaned values.
	case "data":
		f.nodeData, err = f.r.data()
	case "parent_id":
		f.parents[0], err = f.r.id(key)
	case "parentId":
		f.parents[1], err = f.r.id(key)
	case "children", "child_ids", "childIds":
		err = f.r.list(key, f.child)
	default:
		f.r.value()
	}

	return err
}

// child reads one element of a list of children: an id, or the child itself.
func (f *fields) child() error {
	if f.r.b[f.r.i] == '{' {
		return f.r.node(f.at, f.depth+1)
	}
	id, err := f.r.id("children")
	if err != nil || id.empty() {
		return err
	}
	f.r.children = append(f.r.children, child{parent: f.at, child: id})

	return f.r.countLinks()
}

// blame names the node in an error that names none, if its id has been read.
func (f *fields) blame(err error) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) || len(refusal.Nodes) > 0 || f.id.empty() {
		return err
	}

	return refuseNodes(refusal.Message, idText(f.r.b, f.id))
}

// words passes over optional text.
func (r *reader) words(field string) (span, error) {
	switch r.b[r.i] {
	case '"':
		s := r.string()
		if s.to-s.from == 2 {
			return span{}, nil
		}

		return s, nil
	case 'n':
		r.value()

		return span{}, nil
	}

	return span{}, refuse("field %q must be text", field)
}

// values passes over an optional object of values and checks their size and depth.
func (r *reader) values(field string, depth, size int) (span, error) {
	if r.b[r.i] == 'n' {
		r.value()

		return span{}, nil
	}
	if r.b[r.i] != '{' {
		return span{}, refuse("field %q must be an object", field)
	}
	from := r.i
	err := r.object(func(key string) error {
		s, deep := r.value()
		if deep > depth {
			return refuse("%s %q is nested deeper than %d levels", field, key, depth)
		}
		if int(s.to-s.from) > size {
			return refuse("%s %q is larger than %d bytes", field, key, size)
		}

		return nil
	})
	s := span{uint32(from), uint32(r.i)}

	return s, err
}

// data finds data.nodeData.properties, where some programs keep what a node knows.
func (r *reader) data() (found span, err error) {
	if r.b[r.i] != '{' {
		r.value()

		return span{}, nil
	}
	err = r.object(func(key string) error {
		if key != "nodeData" || r.b[r.i] != '{' {
			r.value()

			return nil
		}

		return r.object(func(key string) (err error) {
			if key != "properties" {
				r.value()

				return nil
			}
			found, err = r.values("data.nodeData.properties", r.limits.ValueDepth, r.limits.Value)

			return err
		})
	})

	return found, err
}
