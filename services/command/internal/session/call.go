package session

import (
	"context"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

type contextKey struct{}

// NewContext returns a context in which the session that a request acts on is id.
func NewContext(ctx context.Context, id uuid.UUID) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext is the session that the request acts on; false if none was named.
func FromContext(ctx context.Context) (uuid.UUID, bool) {
	id, ok := ctx.Value(contextKey{}).(uuid.UUID)
	return id, ok && id != uuid.Nil
}

// Call is what a request says beside the command itself.
type Call struct {
	Actor       string    // who acts; empty: nobody said
	Key         string    // idempotency key; empty: a repeat is a new command
	Fingerprint [16]byte  // of the request, to tell a repeat from another request under the same key
	IfMatch     Match     // the state the client saw; zero: any
	CommandID   uuid.UUID // zero: the service draws one
	Render      bool      // Result.Graph is wanted
	WantEvents  bool      // Result.Events are wanted
}

// Match is an If-Match condition. The zero value and Any accept every state.
type Match struct {
	Any       bool
	Positions []wire.Position
}

// allows reports whether the state at p is one that the client accepts.
func (m Match) allows(p wire.Position) bool {
	if m.Any || m.Positions == nil || planted.Is(planted.IgnoreIfMatch) {
		return true
	}
	for _, want := range m.Positions {
		if want == p {
			return true
		}
	}
	return false
}

// Result is the answer to a command, an undo, a redo or a load.
type Result struct {
	Session  uuid.UUID
	Project  uuid.UUID     // zero: none is loaded
	Position wire.Position // of the commit; where nothing was committed, of the state that was looked at
	Command  uuid.UUID     // the command's id
	Type     string        // the command's type
	Node     uuid.UUID     // the node that the command created, zero if none
	Nodes    []uuid.UUID   // for a batch: one per command, zero where it created none

	UndoAvailable bool
	RedoAvailable bool
	Dirty         bool
	Replayed      bool                  // a repeat: the first answer to the same key
	Undone        *Undone               // what an undo or redo acted on; nil if there was nothing to do
	Orphans       *blueprint.OrphanInfo // what load-graph did not know; nil after a replay

	Events []wire.Event // with Call.WantEvents, if the log still has them
	Graph  *Body        // with Call.Render; after a replay at the head, not at Position
}

// Undone names the command that an undo or redo acted on.
type Undone struct {
	Command uuid.UUID
	Type    string
	Version uint64 // of the original command
	Actor   string
}

// Body is a graph as JSON, `{"roots":[…]}`, together with the state it shows. It is
// shared by all who ask for the same version and must not be changed.
type Body struct {
	JSON     []byte
	Position wire.Position
	Nodes    int
}

// Scope says whose commands an undo may take back.
type Scope string

// The scopes of api.md part 4. Only the session's is built.
const (
	ScopeSession Scope = "session"
	ScopeActor   Scope = "actor"
)

// UndoRequest is the body of an undo or redo.
type UndoRequest struct {
	Scope     Scope   // empty means [ScopeSession]
	ExpectTop *uint64 // version of the original command that the client wants to act on
}

// Item is one command of a batch as the client wrote it.
type Item struct {
	Type string
	Data []byte
}
