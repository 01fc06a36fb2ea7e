package graph

import (
	"errors"
	"fmt"
	"strconv"
)

// Reason says why a command was refused. Its text is the error code of the API.
type Reason string

// The reasons. A refused command has changed nothing.
const (
	InvalidCommand  Reason = "INVALID_COMMAND"   // unknown command type, or fields that are missing or of a wrong form
	InvalidNodeType Reason = "INVALID_NODE_TYPE" // the template has no such node type
	NodeNotFound    Reason = "NODE_NOT_FOUND"    // the graph has no such node
	MoveInvalid     Reason = "MOVE_INVALID"      // the node may not go there
	LinkInvalid     Reason = "LINK_INVALID"      // the two may not be linked, or are not
	ReorderInvalid  Reason = "REORDER_INVALID"   // a root, or not a place
	CommandFailed   Reason = "COMMAND_FAILED"    // any other rule of the graph or the template
	TooLarge        Reason = "PAYLOAD_TOO_LARGE" // a limit is exceeded: touched nodes, a value's size, a batch's length
)

// Rejection is the error of a command that was refused.
type Rejection struct {
	Reason  Reason
	Message string
	// Details name what the message speaks of, such as "node_id"; in a batch "command" is the index of the culprit.
	Details map[string]string
}

// Error returns the message.
func (r *Rejection) Error() string { return r.Message }

// reject makes a *Rejection without details.
func reject(reason Reason, format string, args ...any) error {
	return &Rejection{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// unknown is the refusal of a command that names a node which is not there.
func unknown(field string, id NodeID) error {
	return &Rejection{
		Reason:  NodeNotFound,
		Message: fmt.Sprintf("%s: there is no node %s", field, id),
		Details: map[string]string{field: id.String()},
	}
}

// inBatch says which command of a batch err is about.
func inBatch(i int, err error) error {
	var r *Rejection
	if !errors.As(err, &r) {
		return fmt.Errorf("command %d of the batch: %w", i, err)
	}
	details := map[string]string{"command": strconv.Itoa(i)}
	for k, v := range r.Details {
		details[k] = v
	}
	return &Rejection{Reason: r.Reason, Message: fmt.Sprintf("command %d of the batch: %s", i, r.Message), Details: details}
}

// tooMany is the refusal of a command that touches more nodes than a change may.
func tooMany() error { return reject(TooLarge, "the command touches more than %d nodes", MaxTouches) }
