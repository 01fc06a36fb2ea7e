package graph

import "encoding/json"

// MaxBatch is the greatest number of commands in a batch.
const MaxBatch = 1_000

// Item is one command of a batch as it came with the request.
type Item struct {
	Type string
	// Ref is a name, not a UUID, under which later commands of the batch may speak of the node that this CreateNode
	// makes. A "ref" in Data does the same.
	Ref  string
	Data json.RawMessage
}

// Batch is a list of commands that succeed or fail together, each decided on what the ones before it did.
type Batch struct {
	Commands []Command
}

// ParseBatch reads the commands of a batch. The error is a *Rejection whose details name the culprit.
func ParseBatch(items []Item, seed NodeID) (Batch, error) {
	return Batch{}, nil
}

// Created returns for each command the id of the node that it makes, zero for commands that make none.
func (b Batch) Created() []NodeID { return nil }

// Decide decides the commands in order on a draft of g.
func (b Batch) Decide(g *Graph, schema Schema) (Change, error) { return Change{}, nil }
