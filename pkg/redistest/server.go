package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// guarded starts Redis and ends it when standard input closes, which the death of the test process does, too. Its first
// line of output is the process id of Redis.
const guarded = `"$@" >/dev/null & server=$!; echo $server; cat >/dev/null; kill -9 $server 2>/dev/null; wait $server`

// Process is a redis-server of one test's own.
type Process struct {
	Dir string // its working directory: AOF, RDB and redis.log

	addr string
	args []string

	mu    sync.Mutex
	cmd   *exec.Cmd
	guard io.WriteCloser // open while the process may live
	pid   int
}

// Server starts a redis-server with the given arguments ("--appendonly", "yes", …) in an own directory and on an own port.
// It is killed when the test ends. Without a redis-server on PATH the test is skipped, or fails where CI is set.
func Server(t testing.TB, args ...string) *Process {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		Missing(t, "this test needs a redis-server on PATH")
	}
	p, err := newProcess(t.TempDir(), args)
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(p.Kill)
	return p
}

// URL is the address of the server as redis.ParseURL reads it.
func (p *Process) URL() string { return "redis://" + p.addr + "/0" }

// Addr is host:port of the server. It stays the same over restarts.
func (p *Process) Addr() string { return p.addr }

// Kill ends the server at once, as kill -9 does, and waits until it is gone. A server that is not running is left alone.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.guard.Close()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Pause stops the server without ending it (SIGSTOP): connections stay open and nothing is answered until Resume.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return errors.New("the server is not running")
	}
	return syscall.Kill(p.pid, s)
}

// Restart kills the server if it runs and starts it again in the same directory and on the same port. It returns when the
// server has loaded its data.
func (p *Process) Restart() error {
	p.Kill()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start()
}

// AOF is the path of the append-only file that receives the writes (the last increment of it).
func (p *Process) AOF() (string, error) {
	parts, err := filepath.Glob(filepath.Join(p.Dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(parts) == 0 {
		return "", fmt.Errorf("no append-only file in %s", p.Dir)
	}
	return parts[len(parts)-1], nil
}

func newProcess(dir string, args []string) (*Process, error) {
	var err error
	for range 5 { // another process may take the port between its choice and the start
		p := &Process{Dir: dir, args: args}
		if p.addr, err = freeAddr(); err != nil {
			return nil, err
		}
		p.mu.Lock()
		err = p.start()
		p.mu.Unlock()
		if err == nil {
			return p, nil
		}
	}
	return nil, err
}

// start runs the server and waits until it answers. p.mu is held.
func (p *Process) start() error {
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		return err
	}
	logfile := filepath.Join(p.Dir, "redis.log")
	args := append([]string{"-c", guarded, "sh", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", p.Dir,
		"--logfile", logfile, "--save", ""}, p.args...)
	cmd := exec.Command("sh", args...)
	guard, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.guard = cmd, guard
	line, err := bufio.NewReader(output).ReadString('\n')
	if err == nil {
		p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err == nil {
		err = p.answers()
	}
	if err != nil {
		_ = guard.Close()
		_ = cmd.Wait()
		p.cmd = nil
		text, _ := os.ReadFile(logfile)
		return fmt.Errorf("redis-server %s: %w\n%s", strings.Join(p.args, " "), err, text)
	}
	return nil
}

// answers waits for the server to listen. One that demands a password or refuses PING is up as well.
func (p *Process) answers() error {
	deadline := time.Now().Add(startTimeout)
	for {
		if syscall.Kill(p.pid, 0) != nil {
			return errors.New("ended while starting")
		}
		err := ping(p.URL(), time.Second)
		if err == nil || strings.Contains(err.Error(), "NOAUTH") || strings.Contains(err.Error(), "NOPERM") {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startShared starts the redis-server of this process: no persistence, gone with the process.
func startShared() (url string, keep any, err error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return "", nil, errors.New("not on PATH")
	}
	dir, err := os.MkdirTemp("", "talus-redistest-")
	if err != nil {
		return "", nil, err
	}
	p, err := newProcess(dir, []string{"--appendonly", "no"})
	if err != nil {
		return "", nil, err
	}
	// Redis keeps its log open; without persistence it needs the directory no more.
	return p.URL(), p, os.RemoveAll(dir)
}
