package eventlog

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// HeadAt is where one of many sessions stands.
type HeadAt struct {
	Position wire.Position
	Err      error // ErrNoSession (ErrGone after a deletion), ErrTorn or ErrUnavailable; it says nothing about other sessions
}

// headsBatch is how many heads go into one pipeline.
const headsBatch = 500

// Heads reads the positions of many sessions in pipelined batches, one result for each session. After a batch of which nothing
// could be read the others are not tried.
func (l *Log) Heads(ctx context.Context, sessions []uuid.UUID) []HeadAt {
	heads := make([]HeadAt, len(sessions))
	for from := 0; from < len(sessions); from += headsBatch {
		to := min(from+headsBatch, len(sessions))
		if l.readHeads(ctx, sessions[from:to], heads[from:to]) {
			continue
		}
		for i := to; i < len(heads); i++ {
			heads[i].Err = heads[from].Err
		}
		break
	}
	return heads
}

// readHeads reads one batch and reports whether any of it could be read.
func (l *Log) readHeads(ctx context.Context, sessions []uuid.UUID, heads []HeadAt) bool {
	cmds := make([]*redis.SliceCmd, len(sessions))
	_ = retry(ctx, func() error { // each command has its own error
		p := l.rdb.Pipeline()
		for i, s := range sessions {
			cmds[i] = p.HMGet(ctx, keysOf(s).head(), "e", "v", "d", "x")
		}
		_, err := p.Exec(ctx)
		return err
	})
	read := false
	var missing []int
	for i, cmd := range cmds {
		if heads[i].Err = l.subject(sessions[i], classify(cmd.Err())); heads[i].Err != nil {
			read = read || errors.Is(heads[i].Err, ErrTorn)
			continue
		}
		read = true
		pos, err := parsePosition(cmd.Val())
		if err == nil {
			err = open(cmd.Val()[3])
		}
		if heads[i] = (HeadAt{pos, l.subject(sessions[i], err)}); err == nil && pos.IsZero() {
			missing = append(missing, i)
		}
	}
	if len(missing) > 0 {
		l.explain(ctx, sessions, heads, missing)
	}
	return read
}

// explain tells deleted sessions from those that are not there for another reason.
func (l *Log) explain(ctx context.Context, sessions []uuid.UUID, heads []HeadAt, missing []int) {
	cmds := make([]*redis.IntCmd, len(missing))
	_ = retry(ctx, func() error {
		p := l.rdb.Pipeline()
		for i, at := range missing {
			cmds[i] = p.Exists(ctx, keysOf(sessions[at]).dead())
		}
		_, err := p.Exec(ctx)
		return err
	})
	for i, at := range missing {
		err := classify(cmds[i].Err())
		if err == nil {
			err = missingSession(-1 - cmds[i].Val())
		}
		heads[at].Err = l.subject(sessions[at], err)
	}
}
