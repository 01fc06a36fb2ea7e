package blueprint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of a template file. They are far above what people write and keep a hostile file from
// occupying the process: aliases multiply, and the YAML parser's cost grows with the depth.
const (
	maxFileSize = 1 << 20 // bytes
	maxElements = 200_000 // values after aliases are expanded
	maxDepth    = 64      // levels of nesting
)

type kind byte

const (
	kindNull kind = iota
	kindText
	kindNumber
	kindBool
	kindList
	kindMap
)

// element is one YAML value with the line it stands on. Exactly one of text, list and members
// is used, by its kind.
type element struct {
	kind    kind
	line    int
	text    string // of a scalar, as written
	number  string // of a number, as JSON
	list    []element
	members []member
}

// member is one entry of a mapping.
type member struct {
	name  string
	value element
}

// parseYAML reads the first document of a YAML file.
func parseYAML(data []byte) (element, error) {
	if len(data) > maxFileSize {
		return element{}, fmt.Errorf("the file is larger than %d bytes", maxFileSize)
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return element{}, syntaxError(err)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return element{}, errors.New("the file is empty")
	}
	e := expander{anchors: map[string]ast.Node{}}

	return e.expand(file.Docs[0].Body, 0)
}

// syntaxError keeps the first line of the parser's message: the rest quotes the file.
func syntaxError(err error) error {
	first, _, _ := strings.Cut(err.Error(), "\n")

	return fmt.Errorf("not valid YAML: %s", first)
}

// expander turns the syntax tree into elements: it resolves anchors, aliases and merge keys.
type expander struct {
	anchors map[string]ast.Node
	made    int
}

func (e *expander) expand(n ast.Node, depth int) (element, error) {
	e.made++
	if e.made > maxElements {
		return element{}, fmt.Errorf("more than %d values", maxElements)
	}
	if depth > maxDepth {
		return element{}, fmt.Errorf("more than %d levels deep", maxDepth)
	}
	switch n := n.(type) {
	case *ast.AnchorNode:
		e.anchors[nodeText(n.Name)] = n.Value

		return e.expand(n.Value, depth+1)
	case *ast.AliasNode:
		target, ok := e.anchors[nodeText(n.Value)]
		if !ok {
			return element{}, fmt.Errorf("line %d: unknown alias %q", lineOf(n), nodeText(n.Value))
		}

		return e.expand(target, depth+1)
	case *ast.TagNode:
		return e.expand(n.Value, depth+1)
	case *ast.SequenceNode:
		return e.sequence(n, depth)
	case *ast.MappingNode:
		return e.mapping(lineOf(n), n.Values, depth)
	case *ast.MappingValueNode:
		return e.mapping(lineOf(n), []*ast.MappingValueNode{n}, depth)
	}

	return scalar(n)
}

func (e *expander) sequence(n *ast.SequenceNode, depth int) (element, error) {
	out := element{kind: kindList, line: lineOf(n), list: make([]element, 0, len(n.Values))}
	for _, v := range n.Values {
		item, err := e.expand(v, depth+1)
		if err != nil {
			return element{}, err
		}
		out.list = append(out.list, item)
	}

	return out, nil
}

func (e *expander) mapping(line int, values []*ast.MappingValueNode, depth int) (element, error) {
	out := element{kind: kindMap, line: line, members: make([]member, 0, len(values))}
	var merged []member
	for _, v := range values {
		value, err := e.expand(v.Value, depth+1)
		if err != nil {
			return element{}, err
		}
		if v.Key.IsMergeKey() {
			merged = append(merged, mergeSource(value)...)

			continue
		}
		out.members = append(out.members, member{name: nodeText(v.Key), value: value})
	}
	for _, m := range merged { // A key of the mapping itself wins over a merged one.
		if !slices.ContainsFunc(out.members, func(o member) bool { return o.name == m.name }) {
			out.members = append(out.members, m)
		}
	}

	return out, nil
}

// mergeSource lists what "<<" brings in: a mapping, or a list of mappings of which the first wins.
func mergeSource(v element) []member {
	if v.kind != kindList {
		return v.members
	}
	var all []member
	for _, item := range v.list {
		all = append(all, item.members...)
	}

	return all
}

func scalar(n ast.Node) (element, error) {
	out := element{line: lineOf(n), text: nodeText(n)}
	switch n := n.(type) {
	case nil, *ast.NullNode:
		out.kind = kindNull
	case *ast.BoolNode:
		out.kind, out.text = kindBool, fmt.Sprint(n.Value)
	case *ast.IntegerNode:
		out.kind, out.number = kindNumber, fmt.Sprint(n.Value)
	case *ast.FloatNode:
		out.kind = kindNumber
		if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
			return element{}, fmt.Errorf("line %d: %q is not a finite number", out.line, out.text)
		}
		text, err := json.Marshal(n.Value)
		if err != nil {
			return element{}, err
		}
		out.number = string(text)
	case *ast.InfinityNode, *ast.NanNode:
		return element{}, fmt.Errorf("line %d: %q is not a finite number", out.line, out.text)
	case *ast.StringNode, *ast.LiteralNode:
		out.kind = kindText
	default:
		return element{}, fmt.Errorf("line %d: a %s is not expected here", out.line, n.Type().YAMLName())
	}

	return out, nil
}

// nodeText is the text of a scalar without quotes and comments.
func nodeText(n ast.Node) string {
	switch n := n.(type) {
	case nil:
		return ""
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	if tk := n.GetToken(); tk != nil {
		return tk.Value
	}

	return ""
}

func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}

	return 0
}

// lookup finds a member of a mapping. A null counts as absent.
func (e element) lookup(name string) (element, bool) {
	for _, m := range e.members {
		if m.name == name && m.value.kind != kindNull {
			return m.value, true
		}
	}

	return element{}, false
}
