package eventlog

import (
	"context"
	"errors"
	"strconv"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Overview is what is known of a session without its nodes and its log.
type Overview struct {
	Session uuid.UUID
	Head    Head
	Clients int   // on the edges that are alive now
	Err     error // ErrNoSession (ErrGone after a deletion) or ErrTorn; then there is nothing else
}

// Overviews reads heads and clients of sessions, a hundred in one round trip. They are in the order of sessions. It returns
// ErrUnavailable.
func (l *Log) Overviews(ctx context.Context, sessions ...uuid.UUID) ([]Overview, error) {
	const batch = 100
	list := make([]Overview, 0, len(sessions))
	for len(sessions) > 0 {
		part := sessions[:min(batch, len(sessions))]
		sessions = sessions[len(part):]
		some, err := l.overviews(ctx, part)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// overviewReads are the answers for one session.
type overviewReads struct {
	head, presence *redis.MapStringStringCmd
	dead           *redis.IntCmd
}

func (l *Log) overviews(ctx context.Context, sessions []uuid.UUID) ([]Overview, error) {
	var edges []string
	reads := make([]overviewReads, len(sessions))
	err := retry(ctx, func() error {
		p := l.rdb.Pipeline()
		living := leaseScript.EvalSha(ctx, p, []string{edgesKey}, "", l.cfg.Lease.Milliseconds(), "")
		for i, s := range sessions {
			k := keysOf(s)
			reads[i] = overviewReads{head: p.HGetAll(ctx, k.head()), presence: p.HGetAll(ctx, k.presence()), dead: p.Exists(ctx, k.dead())}
		}
		if _, err := p.Exec(ctx); unanswered(err) {
			return err
		}
		if forgotten(living.Err()) {
			var err error
			edges, err = l.liveEdges(ctx)
			return err
		}
		answer, err := parseReply(living.Result())
		edges = answer.texts(1)
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]Overview, len(sessions))
	for i, r := range reads {
		list[i] = Overview{Session: sessions[i]}
		list[i].Head, err = r.parse()
		switch {
		case err != nil && errors.Is(err, ErrUnavailable):
			return nil, err
		case err != nil:
			list[i].Err = l.subject(sessions[i], err)
			continue
		}
		for _, edge := range edges {
			n, _ := strconv.Atoi(r.presence.Val()[edge])
			list[i].Clients += n
		}
	}
	return list, nil
}

func (r overviewReads) parse() (Head, error) {
	switch {
	case r.head.Err() != nil:
		return Head{}, classify(r.head.Err())
	case len(r.head.Val()) == 0:
		return Head{}, missingSession(-1 - r.dead.Val())
	default:
		return parseHead(r.head.Val())
	}
}
