package redistest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/redistest"
)

func TestTheSharedRedisAnswersAndIsTheSameForAllTests(t *testing.T) {
	t.Parallel()
	url := redistest.URL(t)

	got, err := redistest.Client(t, url).Ping(t.Context()).Result()

	if err != nil || got != "PONG" {
		t.Fatalf("PING: %q, %v", got, err)
	}
	if again := redistest.URL(t); again != url {
		t.Fatalf("second URL %s, want %s", again, url)
	}
}

func TestARealRedisKnowsItsMemory(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.Real(t))

	info, err := client.Info(t.Context(), "memory").Result()

	if err != nil || !strings.Contains(info, "maxmemory_policy") {
		t.Fatalf("INFO memory: %v\n%s", err, info)
	}
}

func TestAnOwnServerKeepsItsDataOverAKill(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always")
	client := redistest.Client(t, server.URL())
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}

	server.Kill()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}

	if got := client.Get(t.Context(), "k").Val(); got != "v" {
		t.Fatalf("after the restart k = %q", got)
	}
	if _, err := server.AOF(); err != nil {
		t.Fatal(err)
	}
}

func TestAServerWithBadArgumentsIsAnErrorWithItsLog(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	server.Kill()
	if err := os.RemoveAll(server.Dir); err != nil {
		t.Fatal(err)
	}

	err := server.Restart()

	if err == nil {
		t.Fatal("a server without its directory started")
	}
}

// When the environment names this process a victim, it starts the shared Redis, says its process id and dies.
func TestNoServerOutlivesItsTestProcess(t *testing.T) {
	if os.Getenv("REDISTEST_VICTIM") != "" {
		_, _ = os.Stdout.WriteString("URL " + redistest.Real(t) + "\n")
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
	t.Parallel()
	redistest.Real(t) // skips where there is none
	victim := exec.Command(os.Args[0], "-test.run", "^TestNoServerOutlivesItsTestProcess$")
	victim.Env = append(os.Environ(), "REDISTEST_VICTIM=1", "TALUS_TEST_REDIS_URL=")

	out, _ := victim.Output()

	_, rest, ok := strings.Cut(string(out), "URL ")
	if !ok {
		t.Fatalf("the victim did not tell its Redis: %s", out)
	}
	url, _, _ := strings.Cut(rest, "\n")
	if !gone(t, url) {
		t.Fatalf("%s still answers", url)
	}
}
