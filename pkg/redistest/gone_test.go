package redistest_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// gone waits until nothing listens at the address of a URL, in a container or not.
func gone(t *testing.T, url string) bool {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", opts.Addr)
		if err != nil {
			return ctx.Err() == nil
		}
		_ = conn.Close()
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
