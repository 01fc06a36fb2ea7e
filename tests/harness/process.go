package harness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Process is an instance of a service in a process of its own, which can be killed.
type Process struct {
	*Instance
	cmd *exec.Cmd
}

var binaries struct {
	mu   sync.Mutex
	dir  string
	made map[string]string
}

// Binary builds a service's program once for all tests of the process, and returns its path. Name is "command", "edge"
// or "standalone".
func Binary(t testing.TB, name string) string {
	t.Helper()
	binaries.mu.Lock()
	defer binaries.mu.Unlock()
	if path, ok := binaries.made[name]; ok {
		return path
	}
	if binaries.dir == "" {
		dir, err := os.MkdirTemp("", "talus-bin-") //nolint:usetesting // it outlives the test that asks first
		if err != nil {
			t.Fatal(err)
		}
		binaries.dir, binaries.made = dir, map[string]string{}
	}
	path := filepath.Join(binaries.dir, name)
	build := exec.Command("go", "build", "-o", path, "github.com/talus-tally/talus/services/"+name+"/cmd/"+name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	binaries.made[name] = path
	return path
}

// RemoveBinaries deletes what Binary built; TestMain calls it.
func RemoveBinaries() {
	binaries.mu.Lock()
	defer binaries.mu.Unlock()
	if binaries.dir != "" {
		_ = os.RemoveAll(binaries.dir) // a temporary directory that stays behind is not a failure
		binaries.dir, binaries.made = "", nil
	}
}

// Spawn starts a service as a process on a free port of the loopback and waits until it is ready.
func Spawn(t testing.TB, name string, settings map[string]string) *Process {
	t.Helper()
	p := SpawnOn(t, name, FreeAddr(t), settings)
	awaitReady(t, p.URL)
	return p
}

// SpawnOn starts a service as a process on an address and does not wait.
func SpawnOn(t testing.TB, name, addr string, settings map[string]string) *Process {
	t.Helper()
	cmd := exec.Command(Binary(t, name))
	cmd.Env = append(os.Environ(), "TALUS_ADDR="+addr)
	for k, v := range settings {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Dir = t.TempDir()
	cmd.Stderr, cmd.Stdout = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	inst := &Instance{URL: "http://" + addr, done: make(chan struct{})}
	inst.stop = func() { _ = cmd.Process.Signal(syscall.SIGTERM) } // it may have ended already
	go func() {
		defer close(inst.done)
		_ = cmd.Wait() // a process that was killed reports it here
	}()
	p := &Process{Instance: inst, cmd: cmd}
	t.Cleanup(p.Kill)
	return p
}

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// ExitCode waits for the end of the process and returns its exit code; -1 after a signal.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// FreeAddr is an address of the loopback that nobody listened on a moment ago.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
