package embedded_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/services/standalone/internal/embedded"
)

// start runs an embedded Redis for the test's time and connects to it.
func start(t *testing.T) *redis.Client {
	t.Helper()
	server, err := embedded.New()
	if err != nil {
		t.Fatal(err)
	}
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		_ = client.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return client
}

func TestWhatHasATimeToLiveEndsByItself(t *testing.T) {
	t.Parallel()
	client := start(t)
	if err := client.Set(t.Context(), "lease", "edge", 250*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if n := client.Exists(t.Context(), "lease").Val(); n != 1 {
		t.Fatal("the lease ended at once")
	}

	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(10 * time.Second)
	for client.Exists(t.Context(), "lease").Val() == 1 {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatal("the lease outlived its time")
		}
	}
}

func TestItsClockIsTheRealOne(t *testing.T) {
	t.Parallel()
	client := start(t)

	got, err := client.Time(t.Context()).Result()

	if off := time.Since(got).Abs(); err != nil || off > 5*time.Second {
		t.Fatalf("got %v, %v off, %v", got, off, err)
	}
}

func TestItSaysThatItDoesNotEvict(t *testing.T) {
	t.Parallel()
	client := start(t)

	memory, err := client.Info(t.Context(), "memory").Result()
	if err != nil || !strings.Contains(memory, "maxmemory_policy:noeviction") {
		t.Fatalf("got %q, %v", memory, err)
	}
	if clients, err := client.Info(t.Context(), "clients").Result(); err != nil || !strings.Contains(clients, "connected_clients") {
		t.Fatalf("other sections: got %q, %v", clients, err)
	}
}

func TestScriptsAndStreamsWorkInIt(t *testing.T) {
	t.Parallel()
	client := start(t)
	script := redis.NewScript(`return redis.call('XADD', KEYS[1], ARGV[1], 'r', ARGV[2])`)

	id, err := script.Run(t.Context(), client, []string{"log"}, "1-0", "record").Text()

	if err != nil || id != "1-0" {
		t.Fatalf("got %q, %v", id, err)
	}
}
