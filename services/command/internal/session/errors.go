package session

import (
	"errors"
	"fmt"

	"github.com/talus-tally/talus/pkg/wire"
)

// What a call can be refused for, beside a *graph.Rejection, which is passed on as
// it is. All are definite: nothing was committed, except with ErrUnavailable, after
// which a command may or may not have taken effect.
var (
	ErrNoSession       = errors.New("Session not found")                                   // INVALID_SESSION
	ErrNoProject       = errors.New("no project is loaded")                                // NO_PROJECT, of reads and saves
	ErrInvalidState    = errors.New("no project is loaded, so there is nothing to change") // INVALID_STATE, of commands
	ErrProjectNotFound = errors.New("project not found")                                   // PROJECT_NOT_FOUND
	ErrManySessions    = errors.New("several sessions have this project, name one")        // 409
	ErrNodeNotFound    = errors.New("node not found")                                      // NODE_NOT_FOUND
	ErrKeyReused       = errors.New("the idempotency key belongs to another request")      // IDEMPOTENCY_CONFLICT
	ErrBusy            = errors.New("the session has too many commands waiting")           // RATE_LIMITED
	ErrUnavailable     = errors.New("the event log cannot be reached")                     // UNAVAILABLE
	ErrTorn            = errors.New("the stored session is damaged")                       // SESSION_DAMAGED
	ErrTooLarge        = errors.New("the change is too large")                             // PAYLOAD_TOO_LARGE
	ErrScope           = errors.New("undo by actor is not available")                      // INVALID_REQUEST
)

// MatchError says that the state is none of those that If-Match named
// (VERSION_CONFLICT).
type MatchError struct{ Current wire.Position }

func (e *MatchError) Error() string {
	return fmt.Sprintf("the session is at version %d", e.Current.Version)
}

// TopError says that the next command to undo or redo is not the one that the
// client expected (UNDO_TOP_CHANGED).
type TopError struct {
	Expected uint64
	Top      uint64 // 0: the stack is empty
	Current  wire.Position
}

func (e *TopError) Error() string {
	if e.Top == 0 {
		return fmt.Sprintf("expected version %d on top, but there is nothing left", e.Expected)
	}
	return fmt.Sprintf("expected version %d on top, but it is %d", e.Expected, e.Top)
}

// TrimmedError says that the log no longer reaches back to the version asked for
// (LOG_TRIMMED).
type TrimmedError struct{ Oldest uint64 }

func (e *TrimmedError) Error() string {
	return fmt.Sprintf("the log begins at version %d", e.Oldest)
}

// AheadError says that a reader has a version or a branch that the session does not
// have (LOG_TRIMMED: the reader must fetch the graph).
type AheadError struct{ Head wire.Position }

func (e *AheadError) Error() string {
	return fmt.Sprintf("the position is not on the session's chain, which is at version %d", e.Head.Version)
}
