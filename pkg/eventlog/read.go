package eventlog

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// LogEntry is one record as it is in the log.
type LogEntry struct {
	Record wire.Record
	Delta  []byte // the private part, see wire.ParseDelta
}

// Tail is a part of the log that continues a position.
type Tail struct {
	Head    wire.Position // at the time of the read; the records may end before it
	Records []LogEntry    // chained to the position and to each other
}

// Read reads up to limit records after a version, in order and chained to each other. Nothing proves that the caller's version
// was on this branch; who has a digest uses ReadFrom. It returns a *TrimmedError when the log begins later, ErrAhead when the
// version is beyond the head, ErrNoSession, ErrTorn or ErrUnavailable.
func (l *Log) Read(ctx context.Context, session uuid.UUID, after uint64, limit int) ([]LogEntry, error) {
	tail, err := l.tail(ctx, session, wire.Position{Version: after}, limit, false)
	return tail.Records, l.subject(session, err)
}

// ReadFrom reads up to limit records that continue a position, in one atomic look at log and head. It proves first that the
// position is on the branch that Redis has: by the record of that version, or, when that is trimmed, by the one after it. It
// returns ErrEpoch, ErrAhead or ErrForked when the position is not, a *TrimmedError when records are missing in between,
// ErrNoSession, ErrTorn or ErrUnavailable.
func (l *Log) ReadFrom(ctx context.Context, session uuid.UUID, from wire.Position, limit int) (Tail, error) {
	tail, err := l.tail(ctx, session, from, limit, true)
	return tail, l.subject(session, err)
}

func (l *Log) tail(ctx context.Context, session uuid.UUID, from wire.Position, limit int, prove bool) (Tail, error) {
	k := keysOf(session)
	var headCmd *redis.SliceCmd
	var logCmd *redis.XMessageSliceCmd
	var deadCmd *redis.IntCmd
	err := retry(ctx, func() error {
		p := l.rdb.TxPipeline()
		headCmd, deadCmd = p.HMGet(ctx, k.head(), "e", "v", "d", "k"), p.Exists(ctx, k.dead())
		logCmd = p.XRangeN(ctx, k.log(), entryID(from.Version), "+", int64(limit)+1)
		_, err := p.Exec(ctx)
		return err
	})
	if err != nil {
		return Tail{}, err
	}
	head, err := parsePosition(headCmd.Val())
	if err != nil {
		return Tail{}, err
	}
	if head.IsZero() {
		return Tail{}, missingSession(-1 - deadCmd.Val())
	}
	records, err := parseEntries(session, logCmd.Val())
	if err != nil {
		return Tail{}, err
	}
	if !prove {
		from.Epoch = head.Epoch
	}
	packed, _ := headCmd.Val()[3].(string)
	records, err = l.continues(from, head, packed, records, prove)
	if err == nil && len(records) > limit { // the position's own record was trimmed, so one too many was read
		records = records[:limit]
	}
	return Tail{Head: head, Records: records}, err
}

// continues cuts records down to those after from, once it is proved that they do continue it.
func (l *Log) continues(from, head wire.Position, packed string, records []LogEntry, prove bool) ([]LogEntry, error) {
	switch {
	case from.Epoch != head.Epoch:
		return nil, ErrEpoch
	case from.Version > head.Version:
		return nil, ErrAhead
	case from.Version == head.Version:
		if prove && from.Digest != head.Digest {
			return nil, ErrForked
		}
		return nil, nil
	case len(records) == 0:
		return nil, fmt.Errorf("%w: nothing in the log after version %d, head is %d", ErrTorn, from.Version, head.Version)
	}
	first := records[0].Record
	switch {
	case first.Version == from.Version:
		if prove && first.Digest != from.Digest {
			return nil, ErrForked
		}
		if records = records[1:]; len(records) == 0 {
			return nil, nil // limit 0
		}
	case first.Version > from.Version+1:
		oldest, _, _ := cutNumber(packed)
		return nil, &TrimmedError{Oldest: max(oldest, from.Version+2)}
	case prove && first.Prev != from.Digest:
		return nil, ErrForked
	}
	return records, nil
}

func cutNumber(packed string) (uint64, string, bool) {
	var n uint64
	i := 0
	for ; i < len(packed) && packed[i] != ' '; i++ {
		n = n*10 + uint64(packed[i]-'0')
	}
	return n, packed[i:], i > 0
}

// entries reads the records of versions from … to as they are in the log, at most limit of them, without asking for the head.
func (l *Log) entries(ctx context.Context, session uuid.UUID, from, to uint64, limit int) ([]LogEntry, error) {
	end := "+"
	if to > 0 {
		end = entryID(to)
	}
	var messages []redis.XMessage
	err := retry(ctx, func() (err error) {
		messages, err = l.rdb.XRangeN(ctx, keysOf(session).log(), entryID(from), end, int64(limit)).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	return parseEntries(session, messages)
}

// parseEntries reads stream entries and checks that they belong to the session, stand at their version and form a chain.
func parseEntries(session uuid.UUID, messages []redis.XMessage) ([]LogEntry, error) {
	entries := make([]LogEntry, len(messages))
	for i, m := range messages {
		public, _ := m.Values["r"].(string)
		delta, _ := m.Values["d"].(string)
		record, err := wire.ParseRecord([]byte(public))
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: log entry %s: %w", ErrTorn, m.ID, err)
		case record.Session != session || m.ID != strconv.FormatUint(record.Version, 10)+"-0":
			return nil, fmt.Errorf("%w: log entry %s is version %d of session %s", ErrTorn, m.ID, record.Version, record.Session)
		case i > 0 && !record.Follows(entries[i-1].Record.Position()):
			return nil, fmt.Errorf("%w: log entry %s does not follow the one before", ErrTorn, m.ID)
		}
		entries[i] = LogEntry{Record: record, Delta: []byte(delta)}
	}
	return entries, nil
}
