package redistest_test

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// gone waits until there is no process of that id.
func gone(t *testing.T, pid string) bool {
	t.Helper()
	id, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if syscall.Kill(id, 0) != nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
