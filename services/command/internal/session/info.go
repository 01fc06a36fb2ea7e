package session

import (
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
)

// Info is what the session's head says.
type Info struct {
	Session       uuid.UUID
	Created       time.Time
	LastActivity  time.Time
	Clients       int       // live ones, on all edges
	Project       uuid.UUID // zero: none is loaded
	Template      string    // empty: none
	UndoAvailable bool
	RedoAvailable bool
	Nodes         int
	Dirty         bool // the version differs from the one that was saved last
	Position      wire.Position
	Replayed      bool // by Create: a repeat, which made nothing new
}

// HasProject reports whether a project is loaded.
func (i Info) HasProject() bool { return i.Project != uuid.Nil }

// Page is a part of the list of sessions.
type Page struct {
	Sessions []Info
	Total    int
	Next     string // cursor of the next page; empty at the end
}

// View is a session at one version, as [Service.View] shows it. It may be used only
// until the function that got it returns.
type View struct {
	Info     Info
	Graph    *graph.Graph
	Template *blueprint.Template // nil: none, or one that is not known here
	Position wire.Position
}

// Relationship says that one node blocks another.
type Relationship struct {
	Blocked  uuid.UUID
	Blocking uuid.UUID
}

// Stacks are the next commands that undo and redo would act on, newest first.
type Stacks struct {
	Undo      []Undone
	Redo      []Undone
	UndoDepth int
	RedoDepth int
	Position  wire.Position
}

// After is where a reader of the log stands: a position, or for tools only a
// version.
type After struct {
	Version  uint64
	Position wire.Position // zero: the branch is not known
}

// Commits is a part of the log.
type Commits struct {
	Head    wire.Position
	Records []wire.Record
}

// Saved is the answer to a save.
type Saved struct {
	Session  uuid.UUID
	Project  uuid.UUID
	Position wire.Position // that was saved
	Dirty    bool
}

// Project is a saved project.
type Project struct {
	ID       uuid.UUID
	Name     string
	Template string
	SavedAt  time.Time
	Version  uint64    // of the session when it was saved
	Graph    *Body     // only from Service.Project
	Session  uuid.UUID // that has it loaded; only from Service.Project, zero: none
}

// ProjectPage is a part of the list of saved projects.
type ProjectPage struct {
	Projects []Project
	Total    int
	Next     string // cursor of the next page; empty at the end
}
