package topology_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/chaos/topology"
)

func start(t *testing.T, shape topology.Shape) *topology.System {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		redistest.Missing(t, "this test needs a redis-server on PATH")
	}
	shape.Binaries, shape.Dir = t.TempDir(), t.TempDir()
	if err := topology.Build(t.Context(), shape.Binaries); err != nil {
		t.Fatal(err)
	}
	s, err := topology.Start(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func post(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

func TestASystemServesOverItsProxiesAndSurvivesWhatIsDoneToIt(t *testing.T) {
	t.Parallel()
	s := start(t, topology.Shape{Commands: 1, Edges: 1, Replica: true})
	command, edge := s.Commands[0], s.Edges[0]
	sessions := command.URL + "/api/v1/sessions"
	if status, text := post(t, sessions); status != http.StatusCreated {
		t.Fatalf("a new session: %d %s", status, text)
	}

	command.Redis.Cut()
	if status, _ := post(t, sessions); status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d, want 503", status)
	}
	if err := command.Redis.Mend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "sessions after the cut", func() bool { status, _ := post(t, sessions); return status == http.StatusCreated })

	command.Kill()
	if command.Alive() {
		t.Error("a killed instance lives")
	}
	if err := command.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "sessions after the fail-over", func() bool { status, _ := post(t, sessions); return status == http.StatusCreated })

	figures, err := edge.Usage(t.Context(), "go_goroutines", "process_open_fds")
	if err != nil || figures["go_goroutines"] == 0 || figures["process_open_fds"] == 0 {
		t.Errorf("usage %v, %v", figures, err)
	}
	if took, code, err := edge.Drain(20 * time.Second); err != nil || code != 0 {
		t.Errorf("drained in %v with code %d, %v", took, code, err)
	}
}

// When the environment names this process a victim, it starts a Redis, says its process id and dies.
func TestNothingOutlivesTheProgramThatStartedIt(t *testing.T) {
	if dir := os.Getenv("TOPOLOGY_VICTIM"); dir != "" {
		r, err := topology.StartRedis(topology.RedisConfig{Name: "redis", Dir: dir, AOF: "none"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("PID " + pidOf(t, r) + "\n")
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	t.Parallel()
	victim := exec.Command(os.Args[0], "-test.run", "^TestNothingOutlivesTheProgramThatStartedIt$")
	victim.Env = append(os.Environ(), "TOPOLOGY_VICTIM="+filepath.Join(t.TempDir(), "redis"))

	out, _ := victim.Output()

	_, rest, ok := strings.Cut(string(out), "PID ")
	if !ok {
		t.Fatalf("the victim did not tell its Redis: %s", out)
	}
	text, _, _ := strings.Cut(rest, "\n")
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of process "+text, func() bool { return syscall.Kill(pid, 0) != nil })
}

func pidOf(t *testing.T, r *topology.Redis) string {
	t.Helper()
	admin := r.Admin()
	defer admin.Close()
	info, err := admin.InfoMap(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	return info["Server"]["process_id"]
}
