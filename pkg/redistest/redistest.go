// Package redistest gives tests a Redis.
//
// One Redis serves all tests of a test process; it is started by the first test that asks and ends with the process. It is
// the first of these that works: the server named by TALUS_TEST_REDIS_URL, a container (Docker through testcontainers), a
// redis-server on PATH, miniredis inside the process. One line on standard error says which. Tests share it and keep apart
// by random session ids; none may flush it, change its configuration or count its keys. A test that breaks things starts a
// process of its own with [Server].
//
// Nothing outlives the test process, not even one that is killed: a redis-server watches a pipe that its parent holds open, and a
// container watches for a connection that the test process keeps.
package redistest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// startTimeout bounds the wait for a server that was started to answer PING.
const startTimeout = 15 * time.Second

// found is the Redis of this process.
type found struct {
	url  string
	real bool
	why  string // how it was found, for people
	keep any    // what must stay reachable so that the server lives: the runtime closes files that nobody refers to
}

// shared finds the Redis of this process once. The things it starts live as long as the process.
var shared = sync.OnceValues(func() (found, error) {
	f, err := find()
	if err == nil {
		fmt.Fprintf(os.Stderr, "redistest: %s\n", f.why)
	}
	return f, err
})

// URL is the address of the shared Redis, real or not, as redis.ParseURL reads it.
func URL(t testing.TB) string {
	t.Helper()
	f, err := shared()
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return f.url
}

// Real is the address of the shared Redis if that is a real server. With miniredis only, the test is skipped, or fails
// where CI is set.
func Real(t testing.TB) string {
	t.Helper()
	url := URL(t)
	if f, _ := shared(); !f.real {
		Missing(t, "this test needs a real Redis: "+f.why)
	}
	return url
}

// Client is a client of the Redis at url; it is closed when the test ends.
func Client(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Missing ends a test that the machine cannot run for want of something: it is skipped, and fails where InCI.
func Missing(t testing.TB, why string) {
	t.Helper()
	if InCI() {
		t.Fatal("nothing may be missing in CI: " + why)
	}
	t.Skip(why)
}

// InCI reports whether every test must run: the variable CI is set, and is neither 0 nor false.
func InCI() bool {
	ci := os.Getenv("CI")
	return ci != "" && ci != "0" && ci != "false"
}

func find() (found, error) {
	if url := os.Getenv("TALUS_TEST_REDIS_URL"); url != "" {
		if err := ping(url, startTimeout); err != nil {
			return found{}, fmt.Errorf("TALUS_TEST_REDIS_URL %s: %w", url, err)
		}
		return found{url: url, real: true, why: "using TALUS_TEST_REDIS_URL " + url}, nil
	}
	var not []string
	for _, way := range []struct {
		name  string
		start func() (url string, keep any, err error)
	}{{"Docker", startContainer}, {"redis-server", startShared}} {
		url, keep, err := way.start()
		if err == nil {
			why := fmt.Sprintf("using %s at %s%s", way.name, url, because(not))
			return found{url: url, real: true, why: why, keep: keep}, nil
		}
		not = append(not, fmt.Sprintf("%s: %s", way.name, firstLine(err)))
	}
	mini := miniredis.NewMiniRedis()
	if err := mini.Start(); err != nil {
		return found{}, fmt.Errorf("miniredis: %w", err)
	}
	return found{url: "redis://" + mini.Addr() + "/0", why: "using miniredis inside the test" + because(not), keep: mini}, nil
}

func because(not []string) string {
	if len(not) == 0 {
		return ""
	}
	return " (" + strings.Join(not, "; ") + ")"
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// ping waits until the server at url answers PING, at most for limit.
func ping(url string, limit time.Duration) error {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	opts.MaxRetries = -1
	client := redis.NewClient(opts)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = client.Ping(ctx).Err(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer in %v: %w", limit, err)
		case <-tick.C:
		}
	}
}
