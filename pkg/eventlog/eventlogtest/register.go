package eventlogtest

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/eventlog"
)

func (s suite) registered(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	ctx := t.Context()
	a, b, gone := uuid.NewString(), uuid.NewString(), uuid.NewString()

	first, err := log.Register(ctx, a, "10.0.0.1:8081", time.Minute, []byte("one secret"))
	must(t, err)
	must(t, rdb.HSet(ctx, "talus:{edges}:addresses", gone, "1 10.0.0.9:8081").Err())
	second, err := log.Register(ctx, b, "[::1]:8081", time.Minute, []byte("another"))
	must(t, err)

	if second.Addresses[a] != "10.0.0.1:8081" || second.Addresses[b] != "[::1]:8081" || second.Addresses[gone] != "" {
		t.Errorf("found %v", second.Addresses)
	}
	if len(first.Secret) == 0 || !bytes.Equal(first.Secret, second.Secret) {
		t.Errorf("secrets %q and %q", first.Secret, second.Secret)
	}
	must(t, log.Unregister(ctx, a))
	third, err := log.Register(ctx, b, "[::1]:8082", time.Minute, nil)
	must(t, err)
	if third.Addresses[a] != "" || third.Addresses[b] != "[::1]:8082" {
		t.Errorf("found %v", third.Addresses)
	}
	must(t, log.Unregister(ctx, b))
}
