package eventlog

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// deadMemory is for how long an edge that let its lease end is known as dead.
const deadMemory = 24 * time.Hour

// RenewLease makes an edge count as alive for Config.Lease from now, by Redis' clock. The edge id must be new for each start of
// a process. It returns ErrLeaseLost when the lease had ended: the edge was counted out and must come back under a new id.
func (l *Log) RenewLease(ctx context.Context, edge string) error {
	alive, _, err := l.lease(ctx, edge)
	if err == nil && !alive {
		err = fmt.Errorf("edge %s: %w", edge, ErrLeaseLost)
	}
	return err
}

// EndLease makes an edge count as dead at once, which a drained edge does last.
func (l *Log) EndLease(ctx context.Context, edge string) error {
	return retry(ctx, func() error { return l.rdb.ZRem(ctx, edgesKey, edge).Err() })
}

// SetClients stores how many clients of a session an edge has; 0 removes the entry. It returns ErrNoSession when there is no
// session to be in.
func (l *Log) SetClients(ctx context.Context, session uuid.UUID, edge string, n int) error {
	k := keysOf(session)
	_, err := l.runScript(ctx, presenceScript, []string{k.head(), k.presence(), k.dead()}, edge, n)
	return l.subject(session, err)
}

// Clients counts the clients of each session over the edges that are alive now. Sessions without clients are absent.
func (l *Log) Clients(ctx context.Context, sessions ...uuid.UUID) (map[uuid.UUID]int, error) {
	edges, err := l.liveEdges(ctx)
	if err != nil || len(edges) == 0 || len(sessions) == 0 {
		return map[uuid.UUID]int{}, err
	}
	cmds := make([]*redis.SliceCmd, len(sessions))
	err = retry(ctx, func() error {
		p := l.rdb.Pipeline()
		for i, s := range sessions {
			cmds[i] = p.HMGet(ctx, keysOf(s).presence(), edges...)
		}
		_, err := p.Exec(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	counts := make(map[uuid.UUID]int)
	for i, cmd := range cmds {
		for _, value := range cmd.Val() {
			if text, ok := value.(string); ok {
				n, _ := strconv.Atoi(text)
				counts[sessions[i]] += n
			}
		}
	}
	return counts, nil
}

func (l *Log) liveEdges(ctx context.Context) ([]string, error) {
	_, edges, err := l.lease(ctx, "")
	return edges, err
}

// lease renews the lease of an edge, or of none, and tells which edges are alive.
func (l *Log) lease(ctx context.Context, edge string) (alive bool, edges []string, err error) {
	var answer reply
	err = retry(ctx, func() (err error) {
		answer, err = parseReply(leaseScript.Run(ctx, l.rdb, []string{edgesKey}, edge,
			l.cfg.Lease.Milliseconds(), deadMemory.Milliseconds()).Result())
		return err
	})
	if err != nil {
		return false, nil, err
	}
	return answer.number(0) == 1, answer.texts(1), nil
}
