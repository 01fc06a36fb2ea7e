package blueprint

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/talus-tally/talus/pkg/graph"
)

// MetaOrphanedReason is the key of graph.Node.Metadata that says why a node is orphaned.
const MetaOrphanedReason = "orphaned_reason"

// ReasonUnknownType is the value of [MetaOrphanedReason] for a node whose type the template
// does not have.
const ReasonUnknownType = "node_type_not_in_template"

// OrphanInfo counts what [Template.Adopt] found. Its JSON form is part of the load answer.
type OrphanInfo struct {
	Nodes              int `json:"total_orphaned_nodes"`      // nodes of unknown types
	Properties         int `json:"total_orphaned_properties"` // values that their types do not declare
	RestoredNodes      int `json:"restored_nodes"`            // nodes whose type is known again
	RestoredProperties int `json:"restored_properties"`       // values that are declared again
}

// Adopt brings a node that comes from a file into the terms of the template: type and property
// keys become ids, what the template does not know is marked as orphaned, what it knows again
// comes back, and missing selects get their default. It changes n, which must not be in a graph
// yet; its maps are replaced, not written to. What it found is added to info.
func (t *Template) Adopt(n *graph.Node, info *OrphanInfo) {
	nt, ok := t.NodeType(n.Type)
	if !ok {
		t.orphan(n, info)

		return
	}
	n.Type = nt.ref
	a := adoption{nt: nt, properties: make(map[string]json.RawMessage, len(n.Properties)+1)}
	a.take(n.Properties)
	info.Properties += len(a.strangers)
	a.restore(n.Metadata[graph.MetaOrphanedProperties], info)
	a.complete(n)
	n.Properties = a.properties
	a.mark(n, info)
}

// orphan marks a node of an unknown type. Its properties stay: nothing says what they are.
func (t *Template) orphan(n *graph.Node, info *OrphanInfo) {
	info.Nodes++
	meta := make(map[string]json.RawMessage, len(n.Metadata)+2)
	maps.Copy(meta, n.Metadata)
	meta[graph.MetaOrphaned] = json.RawMessage("true")
	if _, ok := meta[MetaOrphanedReason]; !ok {
		meta[MetaOrphanedReason] = appendText(nil, ReasonUnknownType)
	}
	n.Metadata = meta
}

// adoption is the work on one node of a known type.
type adoption struct {
	nt         *NodeType
	properties map[string]json.RawMessage // by property id
	strangers  map[string]json.RawMessage // what the type does not declare
	earlier    bool                       // the node had orphaned properties that could be read
}

// take sorts the values of a file. A value under the property's id wins over one under its key.
func (a *adoption) take(values map[string]json.RawMessage) {
	for ref, value := range values {
		p, ok := a.nt.Property(ref)
		switch {
		case ok && ref == p.ref:
			a.properties[ref] = value
		case ok:
			if _, given := values[p.ref]; !given && a.first(p, ref, values) {
				a.properties[p.ref] = value
			}
		case ref == "name": // Clients send the node's name among the properties, too.
		default:
			a.keep(ref, value)
		}
	}
}

// first says whether ref is the best of the names under which values holds the property: its id
// in the file comes before its key.
func (a *adoption) first(p *Property, ref string, values map[string]json.RawMessage) bool {
	if ref == p.Declared {
		return true
	}
	_, given := values[p.Declared]

	return !given
}

func (a *adoption) keep(ref string, value json.RawMessage) {
	if a.strangers == nil {
		a.strangers = map[string]json.RawMessage{}
	}
	a.strangers[ref] = value
}

// restore looks through what was orphaned before: values that are declared again come back
// unless the node has a newer one.
func (a *adoption) restore(stored json.RawMessage, info *OrphanInfo) {
	if len(stored) == 0 {
		return
	}
	var before map[string]json.RawMessage
	if json.Unmarshal(stored, &before) != nil {
		return
	}
	a.earlier = true
	for _, ref := range slices.Sorted(maps.Keys(before)) {
		p, ok := a.nt.Property(ref)
		if !ok {
			if _, newer := a.strangers[ref]; !newer {
				a.keep(ref, before[ref])
				info.Properties++
			}

			continue
		}
		if _, newer := a.properties[p.ref]; !newer && string(before[ref]) != "null" {
			a.properties[p.ref] = before[ref]
			info.RestoredProperties++
		}
	}
}

// complete gives missing selects their default. The name comes from the name property, or goes
// there if that has none.
func (a *adoption) complete(n *graph.Node) {
	for i := range a.nt.Properties {
		p := &a.nt.Properties[i]
		if _, ok := a.properties[p.ref]; !ok && p.Type == typeSelect {
			a.properties[p.ref] = p.Default
		}
	}
	if a.nt.nameProperty == nil {
		return
	}
	if text, ok := textOf(a.properties[a.nt.nameProperty.ref]); ok && text != "" {
		n.Name = text

		return
	}
	a.properties[a.nt.nameProperty.ref] = appendText(nil, n.Name)
}

// mark writes what is left over into the metadata, and takes away marks that hold no longer.
func (a *adoption) mark(n *graph.Node, info *OrphanInfo) {
	_, marked := n.Metadata[graph.MetaOrphaned]
	_, reason := n.Metadata[MetaOrphanedReason]
	if !marked && !reason && !a.earlier && a.strangers == nil {
		return
	}
	if n.Orphaned() {
		info.RestoredNodes++
	}
	meta := maps.Clone(n.Metadata)
	if meta == nil {
		meta = map[string]json.RawMessage{}
	}
	delete(meta, graph.MetaOrphaned)
	delete(meta, MetaOrphanedReason)
	if a.earlier {
		delete(meta, graph.MetaOrphanedProperties)
	}
	if a.strangers != nil {
		if text, err := json.Marshal(a.strangers); err == nil {
			meta[graph.MetaOrphanedProperties] = text
		}
	}
	n.Metadata = meta
}
