package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// Head is what Redis knows of a session besides its nodes and its log.
type Head struct {
	Position      wire.Position
	Generation    uint32 // of the live set of nodes
	Count         uint64 // nodes
	Sum           uint64 // of wire.ImageHash over the nodes
	Project       string // project id, "" without
	Template      string // template id, "" without
	CreatedAt     time.Time
	LastActivity  time.Time // by Redis' clock
	SavedVersion  uint64    // the version that was saved last; the session is dirty when it is not the position's
	UndoDepth     int
	RedoDepth     int
	UndoTruncated uint64            // stack entries dropped because the stacks were full
	Oldest        uint64            // oldest version in the log; one more than the head's when the log is empty
	LogBytes      uint64            // bytes of records in the log
	Fields        map[string]string // small texts the caller keeps with the session; documents are attachments
}

// HeadChange is what a caller may change of the head, alone or with a commit. Nil and empty change nothing.
type HeadChange struct {
	Project     *string
	Template    *string
	Saved       *uint64           // an older version than is known is ignored when the change comes alone
	Fields      map[string]string // "" removes
	Attachments map[string][]byte // nil removes
}

// fieldPrefix keeps a caller's fields apart from the head's own.
const fieldPrefix = "f:"

// args are the four lists that scripts take: head fields with values, attachments with values, attachments that go.
func (c HeadChange) args() (fields, attached, detached []any) {
	if c.Project != nil {
		fields = append(fields, "p", *c.Project)
	}
	if c.Template != nil {
		fields = append(fields, "t", *c.Template)
	}
	for name, value := range c.Fields {
		fields = append(fields, fieldPrefix+name, value)
	}
	for name, document := range c.Attachments {
		if document == nil {
			detached = append(detached, name)
		} else {
			attached = append(attached, name, document)
		}
	}
	return fields, attached, detached
}

// Head reads the head of a session. It returns ErrNoSession (ErrGone after a deletion), ErrTorn or ErrUnavailable.
func (l *Log) Head(ctx context.Context, session uuid.UUID) (Head, error) {
	head, _, err := l.Answer(ctx, session, "")
	return head, err
}

// Answer reads the head and, in the same round trip, what was answered under an idempotency key; nil when it was not used.
func (l *Log) Answer(ctx context.Context, session uuid.UUID, key string) (Head, *DuplicateError, error) {
	head, answer, err := l.answer(ctx, session, key)
	return head, answer, l.subject(session, err)
}

func (l *Log) answer(ctx context.Context, session uuid.UUID, key string) (Head, *DuplicateError, error) {
	k := keysOf(session)
	var head *redis.MapStringStringCmd
	var dead *redis.IntCmd
	var records [2]*redis.StringCmd
	err := retry(ctx, func() error {
		p := l.rdb.Pipeline()
		head, dead = p.HGetAll(ctx, k.head()), p.Exists(ctx, k.dead())
		if key != "" {
			records[0], records[1] = p.HGet(ctx, k.keyed0(), key), p.HGet(ctx, k.keyed1(), key)
		}
		if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		return nil
	})
	if err != nil {
		return Head{}, nil, err
	}
	if len(head.Val()) == 0 {
		return Head{}, nil, missingSession(-1 - dead.Val())
	}
	h, err := parseHead(head.Val())
	if err != nil {
		return Head{}, nil, err
	}
	for _, r := range records {
		if r != nil && r.Err() == nil {
			return h, parseKeyed(r.Val()), nil
		}
	}
	return h, nil, nil
}

// Update changes the head without a commit and counts as use of the session. With an empty change it only does that.
// It returns ErrNoSession or ErrUnavailable.
func (l *Log) Update(ctx context.Context, session uuid.UUID, change HeadChange) error {
	k := keysOf(session)
	fields, attached, detached := change.args()
	saved := ""
	if change.Saved != nil {
		saved = strconv.FormatUint(*change.Saved, 10)
	}
	args := append([]any{saved, len(fields), len(attached), len(detached)}, fields...)
	args = append(append(args, attached...), detached...)
	_, err := l.runScript(ctx, updateScript, []string{k.head(), k.attachments(), k.dead()}, args...)
	return l.subject(session, err)
}

// Attachment reads a document kept with a session; nil when there is none.
func (l *Log) Attachment(ctx context.Context, session uuid.UUID, name string) ([]byte, error) {
	var document []byte
	err := retry(ctx, func() (err error) {
		document, err = l.rdb.HGet(ctx, keysOf(session).attachments(), name).Bytes()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return document, l.subject(session, err)
}

// subject names the session in an error, and counts the torn ones.
func (l *Log) subject(session uuid.UUID, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("session %s: %w", session, err)
	l.countTorn(err)
	return err
}

// parsePosition reads the fields e, v, d; all absent are the zero position.
func parsePosition(values []any) (wire.Position, error) {
	if len(values) < 3 || values[0] == nil && values[1] == nil && values[2] == nil {
		return wire.Position{}, nil
	}
	text := make([]string, 3)
	for i := range text {
		text[i], _ = values[i].(string)
	}
	p, err := wire.ParsePosition(strings.Join(text, "."))
	if err != nil {
		return p, fmt.Errorf("%w: head: %w", ErrTorn, err)
	}
	return p, nil
}

// parseHead reads all fields of a head. Absent numbers are 0, a position must be there.
func parseHead(f map[string]string) (Head, error) {
	position, err := parsePosition([]any{f["e"], f["v"], f["d"]})
	if err == nil {
		err = open(f["x"])
	}
	if err != nil {
		return Head{}, err
	}
	number := func(text string) uint64 { n, _ := strconv.ParseUint(text, 10, 64); return n }
	at := func(packed string, i int) uint64 {
		if parts := strings.Fields(packed); i < len(parts) {
			return number(parts[i])
		}
		return 0
	}
	h := Head{
		Position: position, Generation: uint32(number(f["g"])), Count: number(f["c"]), Sum: number(f["s"]),
		Project: f["p"], Template: f["t"], SavedVersion: number(f["sv"]),
		CreatedAt: time.UnixMilli(int64(number(f["ct"]))), LastActivity: time.UnixMilli(int64(number(f["la"]))),
		UndoDepth: int(at(f["w"], 0)), RedoDepth: int(at(f["w"], 1)), UndoTruncated: at(f["w"], 4),
		Oldest: at(f["k"], 0), LogBytes: at(f["k"], 1), Fields: map[string]string{},
	}
	for name, value := range f {
		if own, ok := strings.CutPrefix(name, fieldPrefix); ok && value != "" {
			h.Fields[own] = value
		}
	}
	return h, nil
}
