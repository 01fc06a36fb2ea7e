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

// Heads implements hub.Source. A session whose data contradict each other cannot be continued.
func (s source) Heads(ctx context.Context, sessions []uuid.UUID) []hub.Head {
	heads := make([]hub.Head, len(sessions))
	for i, h := range s.log.Heads(ctx, sessions) {
		heads[i] = hub.Head{Deleted: errors.Is(h.Err, eventlog.ErrGone), Torn: errors.Is(h.Err, eventlog.ErrTorn)}
		switch {
		case h.Err == nil:
			heads[i].Position = h.Position
		case !heads[i].Torn && !errors.Is(h.Err, eventlog.ErrNoSession):
			heads[i].Err = h.Err
		}
	}
	return heads
}

// trimTries bounds how often a read is repeated because the log was trimmed above it meanwhile.
const trimTries = 3

// Read implements hub.Source.
func (s source) Read(ctx context.Context, session uuid.UUID, from uint64, limit int) (records []wire.Record, more bool, err error) {
	var tail eventlog.Tail
	for range trimTries {
		tail, err = s.log.Read(ctx, session, from-1, limit)
		var trimmed *eventlog.TrimmedError
		if !errors.As(err, &trimmed) || trimmed.Oldest <= from {
			break
		}
		from = trimmed.Oldest
	}
	if errors.Is(err, eventlog.ErrAhead) || errors.Is(err, eventlog.ErrNoSession) {
		return nil, false, nil // nothing from there on; the head says why
	}
	if errors.Is(err, eventlog.ErrTorn) {
		return nil, false, fmt.Errorf("%w: %w", hub.ErrTorn, err)
	}
	records = make([]wire.Record, len(tail.Records))
	for i, e := range tail.Records {
		records[i] = e.Record
	}
	return records, tail.More(), err
}
