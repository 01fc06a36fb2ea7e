// Package loadgraph reads the body of a load-graph request: a whole project as a client or an
// older program wrote it, flat or nested, with ids of any form.
//
// It promises that what it hands out is a forest of nodes with distinct ids and order keys, that
// the same text id becomes the same UUID wherever it occurs, that property values keep their
// JSON text (numbers lose no digit), and that nothing it returns refers to the body. It reads the
// body once, whatever its depth; time and memory grow with its size only. What cannot be loaded
// is refused as a whole, with the nodes named.
//
// It does not know sessions and stores nothing. Values are not checked against the template: a
// project is loaded as it is.
package loadgraph

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/command/internal/jsonbody"
)

// Limits bound what a body may contain. Zero fields take the default.
type Limits struct {
	Nodes      int // default 500,000; four times as many links
	Depth      int // levels of nested nodes; default 1,000
	ValueDepth int // levels of nesting in a property value; default 64
	Name       int // characters of a name; default 1,000
	Value      int // bytes of a property value; default 256 KiB
}

// envelope is how deep the outermost node stands in the body: {"graph":{"nodes":[{
const envelope = 4

func (l Limits) orDefault() Limits {
	for _, f := range []struct {
		field    *int
		fallback int
	}{{&l.Nodes, 500_000}, {&l.Depth, 1000}, {&l.ValueDepth, 64}, {&l.Name, 1000}, {&l.Value, 256 << 10}} {
		if *f.field == 0 {
			*f.field = f.fallback
		}
	}

	return l
}

// Refusal is the error for a body that is acceptable JSON and no loadable project. Its text and
// its nodes are meant for the client.
type Refusal struct {
	Message string
	Nodes   []string // ids as the body gives them; empty when no node is to blame
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

func refuse(format string, args ...any) *Refusal {
	return &Refusal{Message: fmt.Sprintf(format, args...)}
}

// refuseNodes names the nodes, at most ten of them, at the end of the message.
func refuseNodes(message string, nodes ...string) *Refusal {
	const shown = 10
	listed := nodes
	if len(listed) > shown {
		listed = listed[:shown]
	}
	quoted := make([]string, 0, len(listed)+1)
	for _, n := range listed {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	if len(nodes) > shown {
		quoted = append(quoted, "…")
	}

	return &Refusal{Message: message + ": " + strings.Join(quoted, ", "), Nodes: listed}
}

// Blocking says that one node cannot proceed before another has.
type Blocking struct {
	Blocked  uuid.UUID
	Blocking uuid.UUID
}

// Document is a body that was read: its links are known to be a forest, its nodes are not made
// yet because that needs the template. It holds on to the body until then.
type Document struct {
	TemplateID      string    // empty: none
	TemplateVersion string    // empty: none
	ProjectID       uuid.UUID // zero: none
	Blocking        []Blocking

	limits  Limits
	body    []byte
	entries []entry
	keys    map[string]string // names of members, as cursor keeps them
	order   []int32           // entries; all children of a node stand side by side and in their order
}

// Len is the number of nodes.
func (d *Document) Len() int { return len(d.entries) }

// Parse reads a body. The error wraps jsonbody.ErrMalformed when it is no acceptable JSON, else
// it is a *[Refusal]. The body must not be changed before [Document.Build] has returned.
func Parse(body []byte, limits Limits) (*Document, error) {
	limits = limits.orDefault()
	if err := jsonbody.Check(body, envelope+2*limits.Depth+limits.ValueDepth); err != nil {
		return nil, err
	}
	r := &reader{cursor: cursor{b: body, keys: map[string]string{}}, limits: limits}
	if err := r.envelope(); err != nil {
		return nil, err
	}
	d := &Document{
		TemplateID: r.templateID, TemplateVersion: r.templateVersion, Blocking: r.blocking,
		limits: limits, body: body, entries: r.entries, keys: r.keys,
	}
	if r.projectID != "" {
		d.ProjectID = MapID(r.projectID)
	}
	if err := d.link(r); err != nil {
		return nil, err
	}

	return d, nil
}

// MapID is the id of a node that a file calls text: the UUID if it is one, else the version 5
// UUID of the text in the DNS namespace, as the original program made them.
func MapID(text string) uuid.UUID {
	if len(text) == 36 || len(text) == 32 {
		if id, err := uuid.Parse(text); err == nil {
			return id
		}
	}

	return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(text))
}
