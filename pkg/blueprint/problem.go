package blueprint

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNotFound is wrapped by the error of [Library.Template] when there is no file of that id.
var ErrNotFound = errors.New("template not found")

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
