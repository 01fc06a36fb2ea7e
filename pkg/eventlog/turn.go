package eventlog

import (
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// turns is what a log needs to ask for a turn. Compare-and-append favours the nearest writer without bounds: a distant one
// always reads a head that is already old. A turn keeps the others back while it commits once.
type turns struct {
	writer string       // names this log among the writers of a session
	trip   atomic.Int64 // how long a commit takes, in ns, smoothed
}

func newTurns() turns { return turns{writer: uuid.NewString()} }

// attempt notes how long a commit took that began then.
func (t *turns) attempt(began time.Time) {
	const smooth = 8
	took, known := int64(time.Since(began)), t.trip.Load()
	if known == 0 {
		known = took
	}
	t.trip.Store(known + (took-known)/smooth) // one of two at the same moment may be lost
}

// turnTime is the least time that a turn lasts, for catching up and deciding; two trips to Redis are added.
const turnTime = 50 * time.Millisecond

// maxTurn bounds what a slow network may make of a turn.
const maxTurn = 500 * time.Millisecond

// length is how long a turn must be.
func (t *turns) length() time.Duration { return min(turnTime+2*time.Duration(t.trip.Load()), maxTurn) }

func turnError(c Commit, r reply) error {
	head, err := parsePosition(r[1:])
	if err != nil {
		return err
	}
	return &TurnError{Base: c.Base, Head: head, Left: time.Duration(r.number(4)) * time.Millisecond}
}
