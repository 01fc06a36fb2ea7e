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

// NewSession describes a session that is to be created. Epoch and Genesis must be drawn at random for each.
type NewSession struct {
	Epoch   wire.Epoch  // not 0
	Genesis wire.Digest // digest of version 0
	Meta    HeadChange  // without attachments
}

// Create makes an empty session at version 0. It returns ErrExists, together with the head there is, when the id is in use,
// and ErrGone when it was used by a session that was deleted: an id is never used twice.
func (l *Log) Create(ctx context.Context, session uuid.UUID, n NewSession) (Head, error) {
	if n.Epoch == 0 || len(n.Meta.Attachments) > 0 {
		return Head{}, l.subject(session, fmt.Errorf("new session of epoch %d with %d attachments", n.Epoch, len(n.Meta.Attachments)))
	}
	k := keysOf(session)
	fields, _, _ := n.Meta.args()
	if n.Meta.Saved != nil {
		fields = append(fields, "sv", *n.Meta.Saved)
	}
	names := append([]string{k.head(), k.dead(), indexKey(bucketOf(session))}, k.contents(0)...)
	l.listProject(ctx, session, n.Meta)
	result, err := l.runScript(ctx, createScript, append(names, k.presence()),
		append([]any{session.String(), n.Epoch.String(), n.Genesis.String()}, fields...)...)
	if err != nil {
		return Head{}, l.subject(session, err)
	}
	head, err := l.Head(ctx, session)
	if err == nil && result == 0 && (head.Position != wire.Position{Epoch: n.Epoch, Digest: n.Genesis}) {
		err = l.subject(session, ErrExists)
	}
	return head, err
}

// contents are the keys that hold what a session consists of, but for its head and presence.
func (k keys) contents(generation uint32) []string {
	return []string{k.log(), k.marks(), k.nodes(generation), k.undo(), k.redo(), k.undoData(), k.redoData(),
		k.keyed0(), k.keyed1(), k.attachments()}
}

// Delete removes a session whole, leaves a tombstone and tells its channel. With ifIdleSince it does so only when the session
// was not used since and has no client on a living edge, else it returns ErrBusy. It returns ErrNoSession or ErrUnavailable.
func (l *Log) Delete(ctx context.Context, session uuid.UUID, ifIdleSince *time.Time) error {
	idle := ""
	var edges []string
	if ifIdleSince != nil {
		var err error
		if edges, err = l.liveEdges(ctx); err != nil {
			return l.subject(session, err)
		}
		idle = strconv.FormatInt(ifIdleSince.UnixMilli(), 10)
	}
	for range attempts { // nodes may be replaced between the look and the deletion
		head, err := l.whole(ctx, session)
		if err != nil {
			return l.subject(session, err)
		}
		result, err := l.delete(ctx, session, head, idle, edges)
		switch {
		case err != nil:
			return l.subject(session, err)
		case result == 1:
			l.unlistProject(ctx, session, head.project)
			return nil
		case result == 3:
			return l.subject(session, ErrBusy)
		}
	}
	return l.subject(session, fmt.Errorf("%w: its nodes are being replaced", ErrBusy))
}

// whole is what a deletion must know of the head, also of one that is torn.
func (l *Log) whole(ctx context.Context, session uuid.UUID) (owned, error) {
	var head *redis.SliceCmd
	err := retry(ctx, func() error {
		head = l.rdb.HMGet(ctx, keysOf(session).head(), "e", "g", "p")
		return head.Err()
	})
	if errors.Is(err, ErrTorn) {
		return owned{}, nil
	}
	if err != nil {
		return owned{}, err
	}
	var o owned
	text := func(i int) string { s, _ := head.Val()[i].(string); return s }
	generation, _ := strconv.ParseUint(text(1), 10, 32)
	o.epoch, o.generation, o.project = text(0), uint32(generation), text(2)
	return o, nil
}

// owned names what belongs to a session. The epoch is as it is stored.
type owned struct {
	epoch, project string
	generation     uint32
}

func (l *Log) delete(ctx context.Context, session uuid.UUID, head owned, idle string, edges []string) (int64, error) {
	k := keysOf(session)
	names := append([]string{k.head(), k.dead(), indexKey(bucketOf(session)), k.presence()}, k.contents(head.generation)...)
	epoch, _ := wire.ParseEpoch(head.epoch) // one that cannot be read is nobody's
	args := []any{session.String(), head.epoch, head.generation, l.cfg.Tombstone.Milliseconds(), idle, k.channel(),
		wire.AppendDeleted(nil, wire.Deleted{Session: session, Epoch: epoch})}
	for _, edge := range edges {
		args = append(args, edge)
	}
	return l.runScript(ctx, deleteScript, names, args...)
}

// Sessions lists ids in a stable order, up to limit of them, beginning after cursor ("" is the start). next is "" at the end.
// A listed session may be gone already. A cursor that was not given out by Sessions starts at the beginning.
func (l *Log) Sessions(ctx context.Context, cursor string, limit int) (ids []uuid.UUID, next string, err error) {
	bucket, after := parseCursor(cursor)
	const together = 128
	for bucket < buckets && len(ids) < limit {
		part := min(together, buckets-bucket)
		cmds := make([]*redis.StringSliceCmd, part)
		err := retry(ctx, func() error {
			p := l.rdb.Pipeline()
			for i := range cmds {
				by := &redis.ZRangeBy{Min: "-", Max: "+", Count: int64(limit - len(ids))}
				if i == 0 && after != "" {
					by.Min = "(" + after
				}
				cmds[i] = p.ZRangeByLex(ctx, indexKey(bucket+i), by)
			}
			_, err := p.Exec(ctx)
			return err
		})
		if err != nil {
			return nil, "", err
		}
		for i, cmd := range cmds {
			for _, member := range cmd.Val() {
				if len(ids) == limit {
					break
				}
				id, err := uuid.Parse(member)
				if err != nil {
					continue
				}
				ids, next = append(ids, id), strconv.Itoa(bucket+i)+"."+member
			}
		}
		bucket, after = bucket+part, ""
	}
	if len(ids) < limit {
		next = ""
	}
	return ids, next, nil
}

// CountSessions is the number of listed sessions.
func (l *Log) CountSessions(ctx context.Context) (int64, error) {
	cmds := make([]*redis.IntCmd, buckets)
	err := retry(ctx, func() error {
		p := l.rdb.Pipeline()
		for i := range cmds {
			cmds[i] = p.ZCard(ctx, indexKey(i))
		}
		_, err := p.Exec(ctx)
		return err
	})
	var total int64
	for _, cmd := range cmds {
		total += cmd.Val()
	}
	return total, err
}

func parseCursor(cursor string) (bucket int, after string) {
	number, member, _ := strings.Cut(cursor, ".")
	bucket, err := strconv.Atoi(number)
	if err != nil || bucket < 0 || bucket >= buckets {
		return 0, ""
	}
	return bucket, member
}
