package eventlog

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/wire"
)

// Staged is a complete set of nodes beside the live one. A commit switches it in.
type Staged struct {
	Generation uint32
	Count, Sum uint64
}

const (
	stageChunk = 500       // nodes per write: 0.3 ms of Redis
	stageLife  = time.Hour // what nobody switched in by then goes away
)

// Stage stores the nodes of a graph beside the live one, in chunks, without blocking Redis. Each node may come once. Nothing
// that is committed meanwhile matters to it. It returns ErrNoSession or ErrUnavailable.
func (l *Log) Stage(ctx context.Context, session uuid.UUID, images iter.Seq[wire.Image]) (Staged, error) {
	k := keysOf(session)
	generation, err := l.runScript(ctx, stageScript, []string{k.head(), k.dead()})
	if err != nil {
		return Staged{}, l.subject(session, err)
	}
	staged := Staged{Generation: uint32(generation)}
	values := make([]any, 0, 2*stageChunk)
	for im := range images {
		staged.Count++
		staged.Sum += wire.ImageHash(im.Node, im.Bytes)
		values = append(values, im.Node[:], im.Bytes)
		if len(values) == cap(values) {
			if err := l.stage(ctx, k.nodes(staged.Generation), values); err != nil {
				return Staged{}, l.subject(session, err)
			}
			values = values[:0]
		}
	}
	return staged, l.subject(session, l.stage(ctx, k.nodes(staged.Generation), values))
}

// stage writes one chunk; no write leaves a key that would stay for ever.
func (l *Log) stage(ctx context.Context, key string, values []any) error {
	if len(values) == 0 {
		return nil
	}
	return retry(ctx, func() error {
		p := l.rdb.TxPipeline()
		p.HSet(ctx, key, values...)
		p.Expire(ctx, key, stageLife)
		_, err := p.Exec(ctx)
		return err
	})
}
