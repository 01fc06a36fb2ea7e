package graph

import "encoding/json"

// Command is an intention to edit a graph. It may be refused.
type Command interface {
	// Decide returns what the command does to g under the rules of schema (nil: no rules), or a *Rejection. It reads g
	// and does not alter it.
	Decide(g *Graph, schema Schema) (Change, error)
}

// ParseCommand reads a command from the data of a request. Ids that the client did not give are derived from seed, the
// command's id, so that deciding again, and on another machine, makes the same nodes. The error is a *Rejection.
func ParseCommand(commandType string, data json.RawMessage, seed NodeID) (Command, error) {
	return nil, reject(InvalidCommand, "unknown command_type %q", commandType)
}
