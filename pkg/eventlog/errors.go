package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// What can be wrong with a session, a position or Redis. Errors of this package wrap exactly one of these, or are a
// *ConflictError, a *TurnError, a *DuplicateError or a *TrimmedError; anything else is a defect.
var (
	// ErrNoSession: there is no such session, and there is no sign that it was deleted.
	ErrNoSession = errors.New("no such session")
	// ErrGone: the session was deleted, or its id was used before. It wraps ErrNoSession.
	ErrGone = fmt.Errorf("%w: it was deleted", ErrNoSession)
	// ErrExists: a session of this id exists.
	ErrExists = errors.New("session exists")
	// ErrTorn: parts of the session's data are missing or contradict each other. It must not be continued.
	ErrTorn = errors.New("session is torn")
	// ErrForked: the position is not on the branch that Redis has. Whatever was built on it must be loaded again.
	ErrForked = errors.New("position is on another branch")
	// ErrEpoch: the position belongs to another incarnation of the id. It wraps ErrForked.
	ErrEpoch = fmt.Errorf("%w: other epoch", ErrForked)
	// ErrAhead: the position is beyond the head. It wraps ErrForked.
	ErrAhead = fmt.Errorf("%w: ahead of the head", ErrForked)
	// ErrStackMoved: the undo or redo stack does not end with the expected entry.
	ErrStackMoved = errors.New("stack has another top")
	// ErrBusy: the session has clients or was used since, so it was not deleted.
	ErrBusy = errors.New("session is in use")
	// ErrLeaseLost: the lease ended before it was renewed. The edge must take a new id.
	ErrLeaseLost = errors.New("lease lost")
	// ErrStaged: the staged nodes are not all there, normally because they expired. Stage them again.
	ErrStaged = errors.New("staged nodes are incomplete")
	// ErrTooLarge: the change passes what one script may write. Nothing was written.
	ErrTooLarge = errors.New("change is too large")
	// ErrUnavailable: Redis does not answer or does not take writes now; the call may be repeated.
	ErrUnavailable = errors.New("redis is unavailable")
	// ErrUnknown: the answer to a commit was lost and could not be found out in time: it is in the log or will never be,
	// or may still arrive there. It wraps ErrUnavailable.
	ErrUnknown = fmt.Errorf("%w: result unknown", ErrUnavailable)
)

// ConflictError says that another writer came first.
type ConflictError struct {
	Base    wire.Position // what the commit was decided against
	Head    wire.Position // what Redis had
	Records []LogEntry    // the records after Base, chained to it; they may end before Head, and are none when trimmed
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("head is at version %d, not %d", e.Head.Version, e.Base.Version)
}

// TurnError says that another writer has the turn, and nothing was written.
type TurnError struct {
	Base wire.Position // what the commit was decided against
	Head wire.Position // what Redis had
	Left time.Duration // the turn ends after this, or earlier with the commit of its holder
}

func (e *TurnError) Error() string {
	return fmt.Sprintf("another writer has the turn for %v", e.Left)
}

// DuplicateError says that a commit with this idempotency key was made before.
type DuplicateError struct {
	Fingerprint [16]byte // of the request that was committed
	Answer      []byte   // its answer

	token uint64 // of the commit that was made
}

func (e *DuplicateError) Error() string { return "idempotency key was used before" }

// TrimmedError says that the wanted records are no longer in the log.
type TrimmedError struct {
	Oldest uint64 // the oldest version that is
}

func (e *TrimmedError) Error() string {
	return fmt.Sprintf("log begins at version %d", e.Oldest)
}

// unavailable are the replies of a Redis that is there but cannot serve now. None of them leaves anything written.
var unavailable = []string{"LOADING", "READONLY", "OOM", "MISCONF", "BUSY", "NOREPLICAS", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN",
	"ASK", "MOVED", "ERR max number of clients"}

// classify gives err its place among the errors of this package. Nil and redis.Nil stay what they are.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var reply redis.Error
	switch {
	case errors.Is(err, redis.Nil):
		return err
	case !errors.As(err, &reply):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	text := reply.Error()
	for _, code := range unavailable {
		if strings.HasPrefix(text, code) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	if strings.Contains(text, "WRONGTYPE") { // miniredis puts words before it inside a script
		return fmt.Errorf("%w: %w", ErrTorn, err)
	}
	return err
}

// unanswered tells whether a command that failed with err may have been executed all the same.
func unanswered(err error) bool {
	if err == nil {
		return false
	}
	var reply redis.Error
	var network *net.OpError
	switch {
	case errors.Is(err, errNotLooked):
		return true // but the group may have been sent twice
	case errors.As(err, &reply), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, errNotSent):
		return false
	case errors.As(err, &network) && network.Op == "dial":
		return false // there was no connection to send it on
	default:
		return true
	}
}

// attempts is how often a read is tried when the connection breaks: a pooled connection may have died unnoticed.
const attempts = 3

// retryRead calls read until the server answers, at most a few times.
func retry(ctx context.Context, read func() error) error {
	var err error
	for range attempts {
		if err = read(); !unanswered(err) || ctx.Err() != nil {
			break
		}
	}
	return classify(err)
}
