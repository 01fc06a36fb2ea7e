// Package compose_test runs docker-compose.yml as a user would and looks at it from outside, through the proxy.
package compose_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
)

// patience bounds the wait for everything that should happen within seconds.
const patience = 60 * time.Second

// stack is a running docker-compose.yml under a project name of its own, so that it meets no other one.
type stack struct {
	t       *testing.T
	compose []string // the compose command as this machine has it
	project string
	port    string // the proxy's on loopback
}

// up builds the images, starts the stack and takes it down, with its volume, when the test ends. It skips the test on a
// machine without a container engine, which in CI is a failure.
func up(t *testing.T) *stack {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "docker", "info").CombinedOutput(); err != nil {
		redistest.Missing(t, fmt.Sprintf("no container engine: %v %s", err, lastLine(out)))
	}
	s := &stack{t: t, project: fmt.Sprintf("talustest%d", os.Getpid()), port: freePort(t)}
	switch {
	case exec.CommandContext(t.Context(), "docker", "compose", "version").Run() == nil:
		s.compose = []string{"docker", "compose"}
	case exec.CommandContext(t.Context(), "docker-compose", "version").Run() == nil:
		s.compose = []string{"docker-compose"}
	default:
		redistest.Missing(t, "no docker compose")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.run(context.Background(), "logs", "--no-color", "--tail", "40"))
		}
		s.run(context.Background(), "down", "--volumes", "--remove-orphans", "--timeout", "20")
	})
	s.must("up", "--build", "--detach")
	return s
}

// must runs a compose command and fails the test when it fails.
func (s *stack) must(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 15*time.Minute)
	defer cancel()
	if out, err := s.command(ctx, args).CombinedOutput(); err != nil {
		s.t.Fatalf("compose %s: %v\n%s", strings.Join(args, " "), err, tail(out))
	}
}

// run runs a compose command and returns what it printed.
func (s *stack) run(ctx context.Context, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, err := s.command(ctx, args).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s\n%v", out, err)
	}
	return string(out)
}

func (s *stack) command(ctx context.Context, args []string) *exec.Cmd {
	args = append(append([]string{}, s.compose...), append([]string{"--project-name", s.project}, args...)...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PROXY_PORT="+s.port)
	return cmd
}

// health returns the state of each container of the stack by its name.
func (s *stack) health() map[string]string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), "docker", "ps", "--all",
		"--filter", "label=com.docker.compose.project="+s.project, "--format", "{{.Names}}\t{{.Status}}").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	states := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, status, _ := strings.Cut(strings.TrimSpace(line), "\t")
		states[name] = status
	}
	return states
}

// eventually polls until ok holds, and fails the test with what was awaited after patience.
func (s *stack) eventually(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("waited %v for this: %s; containers: %v", patience, what, s.health())
		}
	}
}

// freePort returns a loopback port that is free now.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}
