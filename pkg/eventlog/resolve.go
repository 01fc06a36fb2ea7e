package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
)

// settle turns what the script answered, or that it did not answer, into what Commit returns.
func (l *Log) settle(ctx context.Context, c Commit, v any, err error) (wire.Position, error) {
	var pos wire.Position
	if unanswered(err) {
		pos, err = l.resolve(ctx, c, err)
	} else {
		pos, err = l.outcome(ctx, c, v, err)
	}
	l.metrics.commits.WithLabelValues(resultOf(err)).Inc()
	if err == nil {
		return pos, nil
	}
	l.condemnIf(ctx, c.Session, err)
	return wire.Position{}, l.subject(c.Session, err)
}

// outcome reads an answer of commit.lua.
func (l *Log) outcome(ctx context.Context, c Commit, v any, err error) (wire.Position, error) {
	r, err := parseReply(v, classify(err))
	if err != nil {
		return wire.Position{}, err
	}
	switch r.number(0) {
	case 1:
		if r.number(1) == 0 {
			l.metrics.unpublished.Inc()
		}
		l.metrics.undoTruncated.Add(float64(r.number(2)))
		return c.Record.Position(), nil
	case 0:
		return l.conflict(ctx, c, r)
	case 2:
		return duplicate(c, parseKeyed(r.text(1)))
	case 4:
		return wire.Position{}, turnError(c, r)
	case 3:
		return wire.Position{}, fmt.Errorf("%w: expected version %d", ErrStackMoved, c.Entry.Version)
	case -1:
		return wire.Position{}, missingSession(-1 - r.number(1))
	case -2:
		if r.text(2) != "" {
			return wire.Position{}, open(r.text(1))
		}
		return wire.Position{}, fmt.Errorf("%w: %s", ErrTorn, r.text(1))
	case -3:
		return wire.Position{}, ErrStaged
	default:
		return wire.Position{}, fmt.Errorf("commit script answered %d", r.number(0))
	}
}

const (
	maxMissing = 256 // records that a conflict brings along
	maxBrought = 64  // of them, how many the script itself brings
)

// conflict says what came after the base. If the first of it is the commit itself, an earlier try had succeeded unheard; one
// with a key would have been told so.
func (l *Log) conflict(ctx context.Context, c Commit, r reply) (wire.Position, error) {
	head, err := parsePosition(r[1:])
	if err != nil {
		return wire.Position{}, err
	}
	conflict := &ConflictError{Base: c.Base, Head: head}
	tail, err := l.brought(c, head, r)
	if err != nil || len(tail.Records) == 0 {
		tail, err = l.tail(ctx, c.Session, c.Base, maxMissing, true)
	}
	switch {
	case err == nil:
		conflict.Records = tail.Records
		if tail.Head.Version > head.Version {
			conflict.Head = tail.Head
		}
	case errors.As(err, new(*TrimmedError)):
	default:
		return wire.Position{}, err
	}
	if c.Key == nil && len(conflict.Records) > 0 && conflict.Records[0].Record.Digest == c.Record.Digest {
		return c.Record.Position(), nil
	}
	return wire.Position{}, conflict
}

// brought are the records that came with the answer, once it is proved that they continue the base.
func (l *Log) brought(c Commit, head wire.Position, r reply) (Tail, error) {
	records, err := parseEntries(c.Session, r.list(5))
	if err != nil || len(records) == 0 {
		return Tail{}, err
	}
	records, err = l.continues(c.Base, head, r.text(4), records, true)
	return Tail{Head: head, Records: records}, err
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// duplicate tells a repeat from the commit's own first try. The same request, decided by two writers at the same moment on the
// same base, may have given the same record and the same answer: only the token says whose it is.
func duplicate(c Commit, d *DuplicateError) (wire.Position, error) {
	if d.token == c.token {
		return c.Record.Position(), nil
	}
	return wire.Position{}, d
}

// committed looks whether exactly this commit is in the log: with a key the token that was kept under it says so, without one
// the record, whose command no other has.
func (l *Log) committed(ctx context.Context, c Commit) (bool, error) {
	if c.Key != nil {
		_, known, err := l.answer(ctx, c.Session, c.Key.Key)
		return err == nil && known != nil && known.token == c.token, err
	}
	found, err := l.look(ctx, c.Session, entryID(c.Record.Version), entryID(c.Record.Version), 1)
	if err != nil {
		return false, err
	}
	entries, err := parseEntries(c.Session, found.entries)
	return err == nil && len(entries) == 1 && entries[0].Record.Digest == c.Record.Digest, err
}

// resolve finds out what became of a commit whose answer was lost. It looks into the log; when the commit is not there, it
// commits again, which does nothing if the first try arrives after all.
func (l *Log) resolve(ctx context.Context, c Commit, lost error) (wire.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Resolve)
	defer cancel()
	pos, err := l.find(ctx, c, lost)
	l.metrics.resolved.WithLabelValues(resultOf(err)).Inc()
	return pos, err
}

func (l *Log) find(ctx context.Context, c Commit, lost error) (wire.Position, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		found, err := l.committed(ctx, c)
		if err == nil && found {
			return c.Record.Position(), nil
		}
		if err == nil {
			v, again := l.send(ctx, c)
			if !unanswered(again) {
				pos, result := l.outcome(ctx, c, v, again)
				if !errors.Is(result, ErrUnavailable) && !errors.As(result, new(*TurnError)) { // these say nothing of the first try
					return pos, result
				}
			}
		}
		select {
		case <-ctx.Done():
			return wire.Position{}, fmt.Errorf("%w: %w", ErrUnknown, lost)
		case <-time.After(wait):
		}
	}
}

// resultOf names a result for the counters.
func resultOf(err error) string {
	switch {
	case err == nil:
		return "committed"
	case errors.As(err, new(*ConflictError)):
		return "conflict"
	case errors.As(err, new(*TurnError)):
		return "turn"
	case errors.As(err, new(*DuplicateError)):
		return "duplicate"
	case errors.Is(err, ErrUnknown):
		return "unknown"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case errors.Is(err, ErrForked):
		return "forked"
	case errors.Is(err, ErrTorn):
		return "torn"
	default:
		return "refused"
	}
}

func (l *Log) countTorn(err error) {
	if errors.Is(err, ErrTorn) {
		l.metrics.torn.Inc()
	}
}
