package edge

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// source is the event log as rooms read it. Rooms compare chains themselves, because they also do it with what they
// hear, so the log is read here as it is.
type source struct{ log *eventlog.Log }

// Heads implements hub.Source. A session whose data contradicts itself cannot be continued and counts as lost.
func (s source) Heads(ctx context.Context, sessions []uuid.UUID) []hub.Head {
	heads := make([]hub.Head, len(sessions))
	for i, h := range s.log.Heads(ctx, sessions) {
		heads[i] = hub.Head{Position: h.Position, Deleted: errors.Is(h.Err, eventlog.ErrGone)}
		if h.Err != nil && !errors.Is(h.Err, eventlog.ErrNoSession) && !errors.Is(h.Err, eventlog.ErrTorn) {
			heads[i].Err = h.Err
		}
	}
	return heads
}

// trimTries bounds how often a read is repeated because the log was trimmed above it meanwhile.
const trimTries = 3

// Read implements hub.Source.
func (s source) Read(ctx context.Context, session uuid.UUID, from uint64, limit int) ([]wire.Record, error) {
	var entries []eventlog.LogEntry
	var err error
	for range trimTries {
		entries, err = s.log.Read(ctx, session, from-1, limit)
		var trimmed *eventlog.TrimmedError
		if !errors.As(err, &trimmed) || trimmed.Oldest <= from {
			break
		}
		from = trimmed.Oldest
	}
	if errors.Is(err, eventlog.ErrAhead) || errors.Is(err, eventlog.ErrNoSession) {
		return nil, nil // nothing from there on; the head says why
	}
	if errors.Is(err, eventlog.ErrTorn) {
		return nil, fmt.Errorf("%w: %w", hub.ErrLost, err)
	}
	records := make([]wire.Record, len(entries))
	for i, e := range entries {
		records[i] = e.Record
	}
	return records, err
}
