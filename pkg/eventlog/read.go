package eventlog

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/planted"
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

// More reports whether the log had more than was read.
func (t Tail) More() bool {
	return len(t.Records) > 0 && t.Records[len(t.Records)-1].Record.Version < t.Head.Version
}

// Read reads up to limit records after a version, in order and chained to each other, or fewer if they are large. Nothing
// proves that the caller's version was on this branch; who has a digest uses ReadFrom. It returns a *TrimmedError when the log begins later, ErrAhead when the
// version is beyond the head, ErrNoSession, ErrTorn or ErrUnavailable.
func (l *Log) Read(ctx context.Context, session uuid.UUID, after uint64, limit int) (Tail, error) {
	tail, err := l.tail(ctx, session, wire.Position{Version: after}, limit, false)
	return tail, l.subject(session, err)
}

// ReadFrom is Read for a position: it proves first that the
// position is on the branch that Redis has: by the record of that version, or, when that is trimmed, by the one after it. It
// returns ErrEpoch, ErrAhead or ErrForked when the position is not, a *TrimmedError when records are missing in between,
// ErrNoSession, ErrTorn or ErrUnavailable.
func (l *Log) ReadFrom(ctx context.Context, session uuid.UUID, from wire.Position, limit int) (Tail, error) {
	tail, err := l.tail(ctx, session, from, limit, true)
	return tail, l.subject(session, err)
}

func (l *Log) tail(ctx context.Context, session uuid.UUID, from wire.Position, limit int, prove bool) (Tail, error) {
	found, err := l.look(ctx, session, entryID(from.Version), "+", limit+1)
	if err != nil {
		return Tail{}, err
	}
	records, err := parseEntries(session, found.entries)
	if err != nil {
		return Tail{}, err
	}
	if !prove {
		from.Epoch = found.head.Epoch
	}
	records, err = l.continues(from, found.head, found.accounts, records, prove)
	if err == nil && len(records) > limit { // the position's own record was trimmed, so one too many was read
		records = records[:limit]
	}
	return Tail{Head: found.head, Records: records}, err
}

// maxRead is the size in bytes from which on a read of the log ends before its number of records: so much may be in memory
// for each read that is in progress, here and at Redis, and one record more.
const maxRead = 4 << 20

// found is the head and a part of the log at one moment.
type found struct {
	head     wire.Position
	accounts string // what the head says of the log
	entries  []any
}

// look reads the head and the entries from one id to another, at most limit of them; fewer, but at least three, if they are large.
func (l *Log) look(ctx context.Context, session uuid.UUID, from, to string, limit int) (found, error) {
	k := keysOf(session)
	var answer reply
	err := retry(ctx, func() (err error) {
		answer, err = parseReply(readScript.Run(ctx, l.rdb, []string{k.head(), k.log(), k.dead()}, from, to, limit, maxRead).Result())
		return err
	})
	if err != nil {
		return found{}, err
	}
	fields := answer.list(1)
	head, err := parsePosition(fields)
	switch {
	case err != nil:
		return found{}, err
	case head.IsZero():
		return found{}, missingSession(-1 - answer.number(0))
	}
	return found{head: head, accounts: reply(fields).text(3), entries: answer.list(2)}, open(fields[4])
}

// continues cuts records down to those after from, once it is proved that they do continue it.
func (l *Log) continues(from, head wire.Position, packed string, records []LogEntry, prove bool) ([]LogEntry, error) {
	prove = prove && !planted.Is(planted.PrevUnchecked)
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

// parseEntries reads stream entries and checks that they belong to the session, stand at their version and form a chain.
func parseEntries(session uuid.UUID, list []any) ([]LogEntry, error) {
	entries := make([]LogEntry, len(list))
	for i, v := range list {
		entry := reply(asList(v))
		id, public, delta := entry.text(0), "", ""
		for fields := reply(entry.list(1)); len(fields) > 1; fields = fields[2:] {
			switch fields.text(0) {
			case "r":
				public = fields.text(1)
			case "d":
				delta = fields.text(1)
			}
		}
		record, err := wire.ParseRecord([]byte(public))
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: log entry %s: %w", ErrTorn, id, err)
		case record.Session != session || id != entryID(record.Version):
			return nil, fmt.Errorf("%w: log entry %s is version %d of session %s", ErrTorn, id, record.Version, record.Session)
		case i > 0 && !record.Follows(entries[i-1].Record.Position()):
			return nil, fmt.Errorf("%w: log entry %s does not follow the one before", ErrTorn, id)
		}
		entries[i] = LogEntry{Record: record, Delta: []byte(delta)}
	}
	return entries, nil
}
