package graph

import (
	"encoding/json"
	"strconv"

	"github.com/google/uuid"
)

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

// ParseBatch reads the commands of a batch. Ids are derived as by ParseCommand, of each command by its place in the
// batch. The error is a *Rejection whose details name the culprit.
func ParseBatch(items []Item, seed NodeID) (Batch, error) {
	if len(items) == 0 {
		return Batch{}, reject(InvalidCommand, "the batch has no commands")
	}
	if len(items) > MaxBatch {
		return Batch{}, reject(TooLarge, "the batch has more than %d commands", MaxBatch)
	}
	refs := make(map[string]NodeID)
	b := Batch{Commands: make([]Command, len(items))}
	for i, item := range items {
		f := newFields(item.Data, refs)
		c, err := parse(item.Type, f, derive(seed, []byte(strconv.Itoa(i))))
		if err == nil {
			err = item.name(c, f, refs)
		}
		if err != nil {
			return Batch{}, inBatch(i, err)
		}
		b.Commands[i] = c
	}
	return b, nil
}

// name makes the node that c creates known under the item's ref, if it has one.
func (item Item) name(c Command, f *fields, refs map[string]NodeID) error {
	ref := item.Ref
	if ref == "" {
		ref = f.text("ref", "", optional)
	}
	if f.err != nil || ref == "" {
		return f.err
	}
	if _, err := uuid.Parse(ref); err == nil {
		return reject(InvalidCommand, "ref %s is a UUID", ref)
	}
	if _, taken := refs[ref]; taken {
		return reject(InvalidCommand, "ref %q is taken by an earlier command", ref)
	}
	create, ok := c.(CreateNode)
	if !ok {
		return reject(InvalidCommand, "ref is for CreateNode, which makes one node")
	}
	refs[ref] = create.ID
	return checkText("ref", ref)
}

// Created returns for each command the id of the node that it makes, zero for commands other than CreateNode.
func (b Batch) Created() []NodeID {
	ids := make([]NodeID, len(b.Commands))
	for i, c := range b.Commands {
		if create, ok := c.(CreateNode); ok {
			ids[i] = create.ID
		}
	}
	return ids
}

// Decide decides the commands in order, each on a draft that shows what the ones before it did. The first refusal
// refuses the batch.
func (b Batch) Decide(g *Graph, schema Schema) (Change, error) {
	draft := g.Draft()
	var all Change
	for i, c := range b.Commands {
		ch, err := c.Decide(draft, schema)
		if err != nil {
			return Change{}, inBatch(i, err)
		}
		if len(all.Touches)+len(ch.Touches) > MaxTouches {
			return Change{}, tooMany()
		}
		for _, t := range ch.Touches {
			draft.Put(t.ID(), t.After)
		}
		all.Touches = append(all.Touches, ch.Touches...)
	}
	return all, nil
}
