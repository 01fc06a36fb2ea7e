package eventlog_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
)

func TestTheEventLogOnMiniredis(t *testing.T) {
	t.Parallel()
	url := "redis://" + miniredis.RunT(t).Addr()

	eventlogtest.Run(t, func(t testing.TB) redis.UniversalClient { return connects(t, url) })
}

func TestTheEventLogOnRedis(t *testing.T) {
	t.Parallel()
	url := redistest.Real(t)

	eventlogtest.Run(t, func(t testing.TB) redis.UniversalClient { return connects(t, url) })
}

// connects is a client as the services make it.
func connects(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	opts, err := eventlog.Options(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewUniversalClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
