// Package project keeps saved projects: a graph as it was at one position of a session, with its
// name and template, for as long as nobody deletes it.
//
// It promises that a save is stored whole or not at all, and durably when Save has returned; and
// that of two saves of one session the one of the newer position stays, in whatever order they
// arrive (see [Store]). It does not know sessions, graphs or HTTP: nodes are the bytes that the
// event log stores, and what they mean is not looked at.
package project

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/wire"
)

var (
	// ErrNotFound says that no project of that id is saved.
	ErrNotFound = errors.New("project not found")
	// ErrUnavailable is wrapped by every error that is the store's own: it cannot be reached, is
	// full, or holds something that cannot be read. Nothing is known about a Save that fails so.
	ErrUnavailable = errors.New("the project store is not available")
)

// NewerError says that a save was left out because a newer one of the same session is stored.
type NewerError struct {
	Stored wire.Position
}

// Error names the stored position.
func (e *NewerError) Error() string {
	return fmt.Sprintf("a newer save is stored: %s", e.Stored)
}

// Summary is what a list of projects tells about each.
type Summary struct {
	ID       uuid.UUID
	Name     string
	Template string        // id of the template; empty: none
	Position wire.Position // of the session, when it was saved
	SavedAt  time.Time     // kept to the millisecond
}

// Blocking says that one node cannot proceed before another has.
type Blocking struct {
	Blocked  uuid.UUID
	Blocking uuid.UUID
}

// Project is one saved project.
type Project struct {
	Summary

	Nodes    []wire.Image // as the event log stores them; none is gone
	Blocking []Blocking
}

// Page is a part of the list of projects.
type Page struct {
	Projects []Summary // sorted by id
	Total    int       // projects in the store
	Next     string    // cursor of the next page; empty at the end
}

// Store keeps projects. Its methods may be called by any goroutine, and by any number of
// processes that share the store. Errors that are not listed wrap [ErrUnavailable].
type Store interface {
	// Save stores p under its id. A stored project of the same epoch and a higher version stays,
	// and the error is a *[NewerError]; everything else is replaced, a state of another epoch or
	// of the same version and another digest included: it is not on the branch that p is on. Only
	// the caller can find out that a higher version of the same epoch is not on that branch
	// either; it then names it as over, and exactly that one is replaced. The zero position
	// names none.
	Save(ctx context.Context, p Project, over wire.Position) error

	// Get reads a project. The error wraps [ErrNotFound] when there is none.
	Get(ctx context.Context, id uuid.UUID) (Project, error)

	// List reads at most limit projects behind the cursor, the empty one for the first page. A
	// limit below 1 means [DefaultLimit]. Any text is a cursor.
	List(ctx context.Context, cursor string, limit int) (Page, error)

	// Delete removes a project. The error wraps [ErrNotFound] when there is none.
	Delete(ctx context.Context, id uuid.UUID) error

	// Close lets go of what the store holds open. The Redis client that it was given stays open.
	Close() error
}

// The number of projects in a page, unless the caller wants another one.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Open makes the store that the setting TALUS_PROJECTS_URL names: "sqlite:FILE" or
// "sqlite::memory:" for a file or one process' memory, "redis:" for the Redis of rdb, which may be
// nil otherwise.
func Open(url string, rdb redis.UniversalClient) (Store, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	switch {
	case scheme == "sqlite" && rest != "":
		return openSQLite(rest)
	case url == "redis:" && rdb != nil:
		return NewRedis(rdb), nil
	case url == "redis:":
		return nil, errors.New("project: redis: needs a Redis client")
	}

	return nil, fmt.Errorf("project: the address must be redis: or sqlite::memory: or sqlite:FILE, not %q", url)
}

// clamp brings the limit of a page into its range.
func clamp(limit int) int {
	if limit < 1 {
		return DefaultLimit
	}

	return min(limit, MaxLimit)
}

// page makes a page of what was read with one project more than the limit.
func page(found []Summary, limit, total int) Page {
	p := Page{Projects: found, Total: total}
	if len(found) > limit {
		p.Projects = found[:limit]
		p.Next = found[limit-1].ID.String()
	}

	return p
}

func notFound(id uuid.UUID) error { return fmt.Errorf("%w: %s", ErrNotFound, id) }

func unavailable(action string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, action, err)
}
