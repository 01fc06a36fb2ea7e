package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// Entry is one step of undo or redo. It names the original command, wherever it went since.
type Entry struct {
	Version uint64    `json:"-"` // of the original command
	Command uuid.UUID `json:"c"` // its id
	Type    string    `json:"t,omitempty"`
	Actor   string    `json:"a,omitempty"`
	Label   string    `json:"l,omitempty"`
	Payload []byte    `json:"-"` // the change to apply; nil in what Stacks returns
}

// appendMeta appends the stored form without the payload: "<version> <bytes of payload> <rest>". The script reads the two numbers.
func (e Entry) appendMeta(b []byte) []byte {
	b = append(strconv.AppendUint(b, e.Version, 10), ' ')
	b = append(strconv.AppendInt(b, int64(len(e.Payload)), 10), ` {"c":"`...)
	b = append(wire.AppendID(b, e.Command), '"')
	for _, m := range [...]struct{ key, value string }{{"t", e.Type}, {"a", e.Actor}, {"l", e.Label}} {
		if m.value != "" {
			b = wire.AppendMember(append(b, ','), m.key, m.value)
		}
	}
	return append(b, '}')
}

// Keeps reports whether an entry can be on a stack at all. One whose payload alone is more than both stacks may hold is
// dropped by the commit that brings it, with all that is under it.
func (l *Log) Keeps(e Entry) bool { return int64(len(e.Payload)) <= l.cfg.UndoBytes }

func parseMeta(text string) (Entry, error) {
	var e Entry
	version, rest, _ := strings.Cut(text, " ")
	_, rest, _ = strings.Cut(rest, " ")
	var err error
	if e.Version, err = strconv.ParseUint(version, 10, 64); err == nil {
		err = json.Unmarshal([]byte(rest), &e)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("%w: stack entry: %w", ErrTorn, err)
	}
	return e, nil
}

// UndoTop reads what the next undo would apply; ok is false when there is nothing.
func (l *Log) UndoTop(ctx context.Context, session uuid.UUID) (e Entry, ok bool, err error) {
	k := keysOf(session)
	return l.top(ctx, session, k.undo(), k.undoData())
}

// RedoTop reads what the next redo would apply; ok is false when there is nothing.
func (l *Log) RedoTop(ctx context.Context, session uuid.UUID) (e Entry, ok bool, err error) {
	k := keysOf(session)
	return l.top(ctx, session, k.redo(), k.redoData())
}

// top reads the last entry of a stack, then its payload. If the stack moves in between it looks again.
func (l *Log) top(ctx context.Context, session uuid.UUID, list, data string) (Entry, bool, error) {
	for range attempts {
		var meta, payload string
		err := retry(ctx, func() (err error) {
			meta, err = l.rdb.LIndex(ctx, list, -1).Result()
			return err
		})
		if errors.Is(err, redis.Nil) {
			return Entry{}, false, nil
		}
		if err != nil {
			return Entry{}, false, l.subject(session, err)
		}
		e, err := parseMeta(meta)
		if err != nil {
			return Entry{}, false, l.subject(session, err)
		}
		err = retry(ctx, func() (err error) {
			payload, err = l.rdb.HGet(ctx, data, strconv.FormatUint(e.Version, 10)).Result()
			return err
		})
		if err == nil {
			e.Payload = []byte(payload)
			return e, true, nil
		}
		if !errors.Is(err, redis.Nil) {
			return Entry{}, false, l.subject(session, err)
		}
	}
	return Entry{}, false, l.subject(session, fmt.Errorf("%w: stack entry without payload", ErrTorn))
}

// Stacks reads up to n entries of undo and redo, next first, without payloads.
func (l *Log) Stacks(ctx context.Context, session uuid.UUID, n int) (undo, redo []Entry, err error) {
	if n <= 0 {
		return nil, nil, nil
	}
	k := keysOf(session)
	var lists [2]*redis.StringSliceCmd
	err = retry(ctx, func() error {
		p := l.rdb.TxPipeline()
		lists[0], lists[1] = p.LRange(ctx, k.undo(), int64(-n), -1), p.LRange(ctx, k.redo(), int64(-n), -1)
		_, err := p.Exec(ctx)
		return err
	})
	if err != nil {
		return nil, nil, l.subject(session, err)
	}
	if undo, err = entries(lists[0].Val()); err != nil {
		return nil, nil, l.subject(session, err)
	}
	if redo, err = entries(lists[1].Val()); err != nil {
		return nil, nil, l.subject(session, err)
	}
	return undo, redo, nil
}

func entries(metas []string) ([]Entry, error) {
	list := make([]Entry, len(metas))
	for i, meta := range metas {
		e, err := parseMeta(meta)
		if err != nil {
			return nil, err
		}
		list[len(metas)-1-i] = e
	}
	return list, nil
}
