package loadgraph

import (
	"errors"
	"fmt"
)

// child is a link that a node's list of children states: parent is an entry, child an id.
type child struct {
	parent int32
	child  span
}

// edge is a link of the flat form's list of edges.
type edge struct{ source, target span }

// reader collects what a body says, in one pass.
type reader struct {
	cursor

	limits          Limits
	templateID      string
	templateVersion string
	projectID       string
	blocking        []Blocking
	entries         []entry
	children        []child
	edges           []edge
}

// envelope reads the body itself.
func (r *reader) envelope() error {
	r.space()
	if r.b[r.i] != '{' {
		return refuse("the body must be an object")
	}
	found := false
	err := r.object(func(key string) (err error) {
		switch key {
		case "graph":
			found = true

			return r.graph()
		case "template_id":
			r.templateID, err = r.text(key)
		case "template_version":
			r.templateVersion, err = r.text(key)
		case "project_id":
			r.projectID, err = r.text(key)
		case "blocking_relationships":
			return r.list(key, r.relationship)
		default:
			r.value()
		}

		return err
	})
	if err == nil && !found {
		return refuse(`field "graph" is missing`)
	}

	return err
}

// graph reads the flat form, {nodes, edges}, or the nested one, {roots}. If both are there the
// nodes count.
func (r *reader) graph() error {
	if r.b[r.i] != '{' {
		return refuse(`field "graph" must be an object`)
	}
	var nodes, roots, edges span
	if err := r.object(func(key string) error {
		s, _ := r.value()
		switch key {
		case "nodes":
			nodes = s
		case "roots":
			roots = s
		case "edges":
			edges = s
		}

		return nil
	}); err != nil {
		return err
	}
	end := r.i
	field, list := "graph.nodes", nodes
	if r.null(nodes) {
		field, list = "graph.roots", roots
	}
	if r.null(list) {
		return refuse(`field "graph" must have "nodes" or "roots"`)
	}
	if err := r.listAt(list, field, func() error { return r.node(noEntry, 1) }); err != nil {
		return err
	}
	if err := r.listAt(edges, "graph.edges", r.edge); err != nil {
		return err
	}
	r.i = end

	return nil
}

func (r *reader) null(s span) bool { return s.empty() || r.b[s.from] == 'n' }

// listAt reads a list that was passed over before.
func (r *reader) listAt(s span, field string, element func() error) error {
	if r.null(s) {
		return nil
	}
	r.i = int(s.from)

	return r.list(field, element)
}

// list reads an array, or null for none. An error names the element.
func (r *reader) list(field string, element func() error) error {
	switch r.b[r.i] {
	case '[':
		return r.array(func(i int) error {
			err := element()
			var refusal *Refusal
			if errors.As(err, &refusal) {
				return &Refusal{Message: fmt.Sprintf("%s[%d]: %s", field, i, refusal.Message), Nodes: refusal.Nodes}
			}

			return err
		})
	case 'n':
		r.value()

		return nil
	}

	return refuse("field %q must be a list", field)
}

// id passes over an id: text, or a number as some programs write it. null and empty text give
// the empty span.
func (r *reader) id(field string) (span, error) {
	switch ch := r.b[r.i]; {
	case ch == '"':
		s := r.string()
		if s.to-s.from == 2 {
			return span{}, nil
		}

		return s, nil
	case ch == 'n':
		r.value()

		return span{}, nil
	case ch == '-' || '0' <= ch && ch <= '9':
		s, _ := r.value()

		return s, nil
	}

	return span{}, refuse("field %q must be an id", field)
}

// idText is the text of an id that was passed over.
func idText(b []byte, s span) string {
	if b[s.from] == '"' {
		return textOf(b, s)
	}

	return string(b[s.from:s.to])
}

// text reads an optional text or number.
func (r *reader) text(field string) (string, error) {
	s, err := r.id(field)
	if err != nil {
		return "", refuse("field %q must be text", field)
	}
	if s.empty() {
		return "", nil
	}

	return idText(r.b, s), nil
}

func first(list []span) span {
	for _, s := range list {
		if !s.empty() {
			return s
		}
	}

	return span{}
}
