package edge

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// source is the event log as rooms read it. Rooms compare chains themselves, because they also do it with what they
// hear, so the log is read here as it is.
type source struct{ log *eventlog.Log }

// Heads implements hub.Source. A session whose data contradicts itself cannot be continued and counts as gone; it must
// not keep the others from being read.
func (s source) Heads(ctx context.Context, sessions []uuid.UUID) ([]wire.Position, error) {
	heads, err := s.log.Heads(ctx, sessions)
	switch {
	case err == nil || !errors.Is(err, eventlog.ErrTorn):
		return heads, err
	case len(sessions) == 1:
		return make([]wire.Position, 1), nil
	}
	half := len(sessions) / 2
	first, err := s.Heads(ctx, sessions[:half])
	if err != nil {
		return nil, err
	}
	second, err := s.Heads(ctx, sessions[half:])
	return append(first, second...), err
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
	records := make([]wire.Record, len(entries))
	for i, e := range entries {
		records[i] = e.Record
	}
	return records, err
}
