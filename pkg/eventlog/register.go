package eventlog

import (
	"context"
	"time"
)

// Edges is what edges know of each other.
type Edges struct {
	Addresses map[string]string // where each can be reached, by its id
	Secret    []byte            // what all of them sign tokens with
}

// Register makes an edge reachable by the others under an address, for that time from now, and tells what there is. The
// secret is set to the one given if there is none. The edge's id and address have no spaces.
func (l *Log) Register(ctx context.Context, edge, address string, within time.Duration, secret []byte) (Edges, error) {
	var all []string
	err := retry(ctx, func() (err error) {
		all, err = registerScript.Run(ctx, l.rdb, []string{addressesKey, secretKey}, edge, address, within.Milliseconds(), secret).StringSlice()
		return err
	})
	if err != nil || len(all) == 0 {
		return Edges{}, err
	}
	e := Edges{Addresses: map[string]string{}, Secret: []byte(all[0])}
	for i := 1; i+1 < len(all); i += 2 {
		e.Addresses[all[i]] = all[i+1]
	}
	return e, nil
}

// Unregister takes an edge out.
func (l *Log) Unregister(ctx context.Context, edge string) error {
	return retry(ctx, func() error { return l.rdb.HDel(ctx, addressesKey, edge).Err() })
}
