package blueprint

import (
	"fmt"
	"path"
	"strings"

	"github.com/google/uuid"
)

// Decode reads one template file. The id of the template is the stem of the file's base name.
// A file that is no valid template gives a *[ValidationError] with everything that is wrong.
func Decode(file string, data []byte) (*Template, error) {
	base := path.Base(file)
	root, err := parseYAML(data)
	if err != nil {
		return nil, &ValidationError{File: base, Problems: []Problem{{Message: err.Error()}}}
	}
	d := &decoder{}
	t := d.template(strings.TrimSuffix(base, path.Ext(base)), root)
	if len(d.problems) == 0 {
		t.index(d)
	}
	if len(d.problems) > 0 {
		return nil, &ValidationError{File: base, Problems: d.problems}
	}
	if t.schema, err = t.encodeSchema(); err != nil {
		return nil, fmt.Errorf("blueprint: encode the schema of %s: %w", base, err)
	}

	return t, nil
}

// Problem is one thing that is wrong with a template file. It can be shown to clients.
type Problem struct {
	Type    string `json:"type,omitempty"`  // key of the node type, or "node_types[3]"; empty: the template itself
	Field   string `json:"field,omitempty"` // for instance "properties.status.options"
	Line    int    `json:"line,omitempty"`  // 1 is the first; 0: unknown
	Message string `json:"message"`
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Type != "" {
		fmt.Fprintf(&b, "type %s: ", p.Type)
	}
	if p.Field != "" {
		fmt.Fprintf(&b, "field %s: ", p.Field)
	}
	b.WriteString(p.Message)
	if p.Line > 0 {
		fmt.Fprintf(&b, " (line %d)", p.Line)
	}

	return b.String()
}

// ValidationError says why a file is no template. Its JSON form is the error's details.
type ValidationError struct {
	File     string    `json:"file"` // base name, never a path
	Problems []Problem `json:"problems"`
}

// Error names the file and its problems, at most three of them.
func (e *ValidationError) Error() string {
	const shown = 3
	texts := make([]string, 0, shown+1)
	for i, p := range e.Problems {
		if i == shown {
			texts = append(texts, fmt.Sprintf("and %d more", len(e.Problems)-shown))

			break
		}
		texts = append(texts, p.String())
	}

	return fmt.Sprintf("template %s: %s", e.File, strings.Join(texts, "; "))
}

// maxProblems bounds what is reported of one file.
const maxProblems = 100

// decoder walks the elements of a file and notes what is wrong instead of stopping at it.
type decoder struct {
	typ      string // where it is: the node type, and the path to the field before the current one
	prefix   string
	problems []Problem
}

func (d *decoder) problem(line int, field, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{
			Type: d.typ, Field: d.prefix + field, Line: line, Message: fmt.Sprintf(format, args...),
		})
	}
}

// text reads an optional scalar.
func (d *decoder) text(e element, field string) string {
	v, ok := e.lookup(field)
	if !ok {
		return ""
	}
	if v.kind == kindList || v.kind == kindMap {
		d.problem(v.line, field, "must be text")

		return ""
	}

	return v.text
}

// required reads the first of several names of a scalar that must not be empty.
func (d *decoder) required(e element, fields ...string) string {
	for _, field := range fields {
		if s := d.text(e, field); strings.TrimSpace(s) != "" {
			return s
		}
	}
	d.problem(e.line, fields[0], "is required")

	return ""
}

func (d *decoder) flag(e element, field string) bool {
	v, ok := e.lookup(field)
	if ok && v.kind != kindBool {
		d.problem(v.line, field, "must be true or false")
	}

	return ok && v.text == "true"
}

func (d *decoder) list(e element, field string) []element {
	v, ok := e.lookup(field)
	if ok && v.kind != kindList {
		d.problem(v.line, field, "must be a list")
	}

	return v.list
}

func (d *decoder) texts(e element, field string) []string {
	items := d.list(e, field)
	out := make([]string, 0, len(items))
	for i, item := range items {
		if item.kind == kindList || item.kind == kindMap || item.text == "" {
			d.problem(item.line, fmt.Sprintf("%s[%d]", field, i), "must be text")

			continue
		}
		out = append(out, item.text)
	}

	return out
}

// id reads an optional UUID; without one it answers the derived id.
func (d *decoder) id(e element, field string, derived uuid.UUID) uuid.UUID {
	s := d.text(e, field)
	if s == "" {
		return derived
	}
	id, err := uuid.Parse(s)
	if err != nil {
		v, _ := e.lookup(field)
		d.problem(v.line, field, "%q is not a UUID", s)
	}

	return id
}

func (d *decoder) template(id string, root element) *Template {
	t := &Template{ID: id}
	if root.kind != kindMap {
		d.problem(root.line, "", "a template is a mapping")

		return t
	}
	t.Name = d.required(root, "name")
	t.Version, t.Description, t.UUID = d.text(root, "version"), d.text(root, "description"), d.text(root, "uuid")
	if view, ok := root.lookup("blocking_view"); ok {
		t.BlockingView = view.json()
	}
	types := d.list(root, "node_types")
	if _, ok := root.lookup("node_types"); !ok || len(types) == 0 && len(d.problems) == 0 {
		d.problem(root.line, "node_types", "must name at least one node type")
	}
	for i, e := range types {
		t.NodeTypes = append(t.NodeTypes, d.nodeType(i, e))
	}

	return t
}

func (d *decoder) nodeType(i int, e element) NodeType {
	d.typ = fmt.Sprintf("node_types[%d]", i)
	defer func() { d.typ = "" }()
	if e.kind != kindMap {
		d.problem(e.line, "", "a node type is a mapping")

		return NodeType{}
	}
	n := NodeType{Key: d.required(e, "id")}
	if n.Key != "" {
		d.typ = n.Key
	}
	n.ID = d.id(e, "uuid", TypeID(n.Key))
	n.ref = n.ID.String()
	n.Name = d.required(e, "label", "name")
	n.childRefs = d.texts(e, "allowed_children")
	n.AllowedAssetTypes = d.texts(e, "allowed_asset_types")
	n.Features = d.texts(e, "features")
	n.Icon, n.Shape, n.Color, n.BaseType = d.text(e, "icon"), d.text(e, "shape"), d.text(e, "color"), d.text(e, "base_type")
	properties := d.properties(e, &n)
	d.identify(&n, properties)
	d.primaryStatus(e, &n)

	return n
}

func (d *decoder) primaryStatus(e element, n *NodeType) {
	const field = "primary_status_property_id"
	ref := d.text(e, field)
	if ref == "" {
		return
	}
	for i := range n.Properties {
		p := &n.Properties[i]
		if p.Declared == ref || p.ref == strings.ToLower(ref) {
			n.PrimaryStatus = p.ID

			return
		}
	}
	v, _ := e.lookup(field)
	d.problem(v.line, field, "the type has no property %q", ref)
}
