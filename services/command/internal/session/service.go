// Package session is the application core of the command service: it takes a
// command for a session, decides it against the session's graph, and commits it.
//
// It promises that a command which it reports as done is in the session's log
// exactly once, at the version it reports; that a refusal, a read and an empty undo
// are answered from a state that was the session's head at some moment after the
// request arrived, never from an older one that happened to be in memory; and that
// nothing decided on a state that was not committed is ever shown to anybody. It
// owns nothing: graphs in memory are copies of what the log says, any number of
// instances may serve the same session, and all of them may be killed at any time.
//
// It knows neither HTTP nor Redis. Sessions are named by the context
// ([NewContext]), and events are published only if an [Emitter] was given.
//
// Goroutines: [Service.Run] sweeps sessions that nobody uses; each session with
// work to do has one goroutine that owns its graph and ends when its queue is empty.
package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/blueprint"
	"github.com/talus-tally/talus/pkg/wire"
)

// Config bounds the service. Zero fields take the default.
type Config struct {
	TTL        time.Duration // idle time after which a session without clients is removed; default 24 h, negative: never
	Sweep      time.Duration // between two looks for such sessions; default 5 min
	Deadline   time.Duration // for one command, waiting and retries included; default 2 s
	Queue      int           // commands that may wait for one session; default 1,024
	Warm       int           // graphs kept in memory; default 256
	WarmBytes  int64         // their size as stored, together; default 512 MiB
	MaxTouched int           // nodes that one command may touch; default 20,000
}

// Emitter publishes events that are in no log.
type Emitter interface {
	Publish(ctx context.Context, e wire.Ephemeral) error
}

// Templates finds a template by its id. The error of an unknown one wraps
// blueprint's.
type Templates interface {
	Template(id string) (*blueprint.Template, error)
}

// Deps is what the service works with.
type Deps struct {
	Templates Templates
	Emitter   Emitter // nil: commits are silent and nothing is published
	Now       func() time.Time
	NewID     func() uuid.UUID
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
}
