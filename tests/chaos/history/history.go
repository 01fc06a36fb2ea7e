// Package history is what a run against a deployment leaves behind: one JSON line for each thing that a client did, got
// or saw, in a file that can be read again without the deployment.
//
// It promises that all times of a history come from one monotonic clock, that the lines of one goroutine stand in the
// file in the order in which it recorded them, and that a recorder which was closed without an error has lost no line.
// Lines of different goroutines may stand in any order: readers go by time. It draws no conclusions; that is what
// package check does.
package history

import "encoding/json"

// Kind says what became of an operation.
type Kind string

// The kinds of line.
const (
	Invoke Kind = "invoke" // a request is about to be sent
	OK     Kind = "ok"     // it was carried out
	Fail   Kind = "fail"   // it definitely was not: a 4xx
	Info   Kind = "info"   // nobody knows: a timeout, a broken connection, a 5xx
	Note   Kind = "note"   // something that happened to a client, or a mark of the run
)

// Func says what a line is about.
type Func string

// What lines are about. The requests have the kinds Invoke and OK, Fail or Info; the others are notes.
const (
	Cmd   Func = "cmd"   // one command
	Batch Func = "batch" // several commands in one commit
	Load  Func = "load"  // load-graph
	Undo  Func = "undo"
	Redo  Func = "redo"
	Graph Func = "graph" // a read of the graph; Position and Hash say which
	Get   Func = "get"   // a read of a session's head
	State Func = "state" // a read of the stacks

	Session  Func = "session"  // a session of the run; Canary is its own
	Sub      Func = "sub"      // joined: where the subscription begins
	Recv     Func = "recv"     // a commit frame
	Resync   Func = "resync"   // the stream goes on elsewhere
	Disc     Func = "disc"     // the subscription ended
	Frame    Func = "frame"    // any other frame; its bytes were searched for canaries
	Presence Func = "presence" // an announcement, or a count at rest
	Rest     Func = "rest"     // what a client holds at the end
	Log      Func = "log"      // a commit as it is in the log; Raw is its frame
	LogEnd   Func = "log-end"  // the log of a session was read to its head, or could not be (Text)
	Usage    Func = "usage"    // resources of an instance
	Mark     Func = "mark"     // a moment of the run
)

// The marks of a run, in Line.Mark. From a mark of FaultBegin to one of FaultEnd with the same Text something is broken
// on purpose; Sessions are those that it is aimed at (none: all).
const (
	Start      = "start"       // clients begin
	FaultBegin = "fault-begin" // Text names the fault
	FaultEnd   = "fault-end"   // it is over, nothing else may be broken
	Heal       = "heal"        // nothing is broken any more: from here all must be current soon
	Loss       = "loss"        // Redis has lost data, and what it has now is the truth
	Quiesce    = "quiesce"     // the writers have ended
	AtRest     = "rest"        // clients are current, or the patience is at its end
	Stop       = "stop"        // the clients are away
)

// SentAway is the Reason of a Disc after which the client does not come back: a close code that says so.
const SentAway = "sent away"

// Line is one line of a history. Fields that do not matter to its Func are empty.
type Line struct {
	T     int64 `json:"t"`           // nanoseconds since the recorder began
	Began int64 `json:"b,omitempty"` // of an answer: when the request was sent
	Kind  Kind  `json:"type"`
	F     Func  `json:"f"`

	Session string `json:"session,omitempty"`
	Node    string `json:"node,omitempty"`   // the instance: its base URL
	Client  string `json:"client,omitempty"` // who, over all its connections
	Conn    string `json:"conn,omitempty"`   // the connection: the client's name and a number

	// Of a request. All attempts with one idempotency key share Op, and Actor, which the log keeps, ends with it.
	Op          string `json:"op,omitempty"`
	Attempt     int    `json:"n,omitempty"` // from 1
	Key         string `json:"key,omitempty"`
	Body        string `json:"body,omitempty"` // fingerprint of what was asked
	Actor       string `json:"actor,omitempty"`
	Command     string `json:"command,omitempty"` // its id
	CommandType string `json:"ctype,omitempty"`
	IfMatch     string `json:"if_match,omitempty"`
	ExpectTop   uint64 `json:"expect_top,omitempty"`
	Target      string `json:"target,omitempty"` // the node that the request is about
	Keyed       bool   `json:"keyed,omitempty"`  // the request may be repeated

	// Of an answer.
	Status        int    `json:"status,omitempty"`
	Code          string `json:"code,omitempty"`  // of a problem
	Reply         string `json:"reply,omitempty"` // fingerprint of what every repeat must be told
	Replayed      bool   `json:"replayed,omitempty"`
	UndoAvailable *bool  `json:"undoable,omitempty"`
	RedoAvailable *bool  `json:"redoable,omitempty"`
	Undone        *Step  `json:"undone,omitempty"` // what an undo or redo acted on
	Idle          bool   `json:"idle,omitempty"`   // an undo or redo had nothing to act on
	Stacks        *Stack `json:"stacks,omitempty"`

	// Of states and streams. Position and what is compared with it are texts of wire.Position.
	Position string `json:"pos,omitempty"`
	Prev     string `json:"prev,omitempty"`
	After    string `json:"after,omitempty"` // the position that a subscription asked to go on from
	Resumed  bool   `json:"resumed,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Payload  string `json:"payload,omitempty"` // fingerprint of the commit frame's bytes
	Hash     string `json:"hash,omitempty"`    // of the graph after it
	Canary   string `json:"canary,omitempty"`  // all canaries in the bytes, with commas
	Error    string `json:"error,omitempty"`   // what the client itself found wrong
	Oldest   uint64 `json:"oldest,omitempty"`  // at the end of a log: the oldest version that it still has

	Event   string `json:"event,omitempty"`
	Subject string `json:"subject,omitempty"` // the client that an announcement is about
	Count   int    `json:"count,omitempty"`   // of clients, as the deployment says
	Live    int    `json:"live,omitempty"`    // as it really is
	Seq     uint64 `json:"seq,omitempty"`

	Mark     string             `json:"mark,omitempty"`
	Text     string             `json:"text,omitempty"`
	Sessions []string           `json:"sessions,omitempty"`
	Figures  map[string]float64 `json:"figures,omitempty"`
	Raw      json.RawMessage    `json:"raw,omitempty"`
	UID      string             `json:"uid,omitempty"` // of a log entry: the commit's own id, where the reader can see it
}

// Step is one entry of a stack: it names the original command.
type Step struct {
	Version uint64 `json:"version"`
	Command string `json:"command_id"`
	Type    string `json:"command_type,omitempty"`
	Actor   string `json:"actor,omitempty"`
}

// Stack is what the state of the commands says: the next entries, newest first, and how many there are.
type Stack struct {
	Undo  []Step `json:"undo"`
	Redo  []Step `json:"redo"`
	Depth int    `json:"depth"`
}
