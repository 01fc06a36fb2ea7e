package eventlog

import (
	"context"
	"fmt"
)

// Leases are the edges that were not buried, by Redis' clock at one moment.
type Leases struct {
	Living []string // their lease lasts
	Ended  []string // it does not, but they may still renew it
}

// BeginLease makes a new edge count as alive for Config.Lease from now. Its id must never have been used.
func (l *Log) BeginLease(ctx context.Context, edge string) error {
	_, _, err := l.lease(ctx, edge, "1")
	return err
}

// RenewLease makes an edge count as alive for Config.Lease from now, also when its lease had ended meanwhile. It returns
// ErrLeaseLost when the edge was buried: its clients were counted out, and it must come back under a new id.
func (l *Log) RenewLease(ctx context.Context, edge string) (Leases, error) {
	alive, leases, err := l.lease(ctx, edge, "")
	if err == nil && !alive {
		err = fmt.Errorf("edge %s: %w", edge, ErrLeaseLost)
	}
	return leases, err
}

// Leases reads who is alive.
func (l *Log) Leases(ctx context.Context) (Leases, error) {
	_, leases, err := l.lease(ctx, "", "")
	return leases, err
}

// EndLease buries an edge at once, which a drained edge does last.
func (l *Log) EndLease(ctx context.Context, edge string) error {
	return retry(ctx, func() error { return l.rdb.ZRem(ctx, edgesKey, edge).Err() })
}

// Bury makes the end of leases final and returns those edges that are dead now, whoever buried them. An edge that renewed its
// lease in between is not among them. Who calls this must be sure that the others could have renewed theirs.
func (l *Log) Bury(ctx context.Context, edges ...string) ([]string, error) {
	if len(edges) == 0 {
		return nil, nil
	}
	args := make([]any, len(edges))
	for i, edge := range edges {
		args[i] = edge
	}
	var dead []string
	err := retry(ctx, func() (err error) {
		dead, err = buryScript.Run(ctx, l.rdb, []string{edgesKey}, args...).StringSlice()
		return err
	})
	return dead, err
}

// lease renews the lease of an edge, or of none, and tells which edges there are.
func (l *Log) lease(ctx context.Context, edge, begin string) (alive bool, leases Leases, err error) {
	var answer reply
	err = retry(ctx, func() (err error) {
		answer, err = parseReply(leaseScript.Run(ctx, l.rdb, []string{edgesKey}, edge, l.cfg.Lease.Milliseconds(), begin).Result())
		return err
	})
	if err != nil {
		return false, Leases{}, err
	}
	return answer.number(0) == 1, Leases{Living: answer.texts(1), Ended: answer.texts(2)}, nil
}
