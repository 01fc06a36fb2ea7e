// Package topology brings a Talus up as it runs in production, only on one machine: command services, edges and Redis
// servers as processes of their own, with a TCP proxy on every way between them that a fault may break.
//
// It promises that no process outlives the program that started it, however that program ends: each one stands under a
// guard that kills it when its end of a pipe closes. Processes keep their addresses over restarts, and processes that
// were frozen are thawed before they are ended. It knows nothing of sessions, and it breaks nothing by itself.
package topology

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// guarded runs a program and kills it when standard input closes, which the death of our process does, too. Its first
// line of output is the id of the program's process; its exit code is the program's.
const guarded = `exec 3<&0
"$@" </dev/null 3<&- >>"$GUARD_LOG" 2>&1 & program=$!
echo $program
{ cat <&3; kill -9 $program; } >/dev/null 2>&1 & watch=$!
wait $program; code=$?
kill $watch; exit $code`

// process is a program that runs under a guard.
type process struct {
	name string
	argv []string
	env  []string // added to ours
	log  string   // path of a file that gets its output

	mu    sync.Mutex
	cmd   *exec.Cmd
	guard io.Closer // open while the program may live
	pid   int
	done  chan struct{}
	code  int // valid when done is closed
}

// start runs the program; it must not be running.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command("sh", append([]string{"-c", guarded, "sh"}, p.argv...)...)
	cmd.Env = append(append(os.Environ(), p.env...), "GUARD_LOG="+p.log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is ours alone
	guard, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err == nil {
		p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		_ = guard.Close()
		_ = cmd.Wait() // the reason is err
		return fmt.Errorf("%s: no process: %w", p.name, err)
	}
	p.cmd, p.guard, p.done = cmd, guard, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		_ = cmd.Wait() // the exit code says what there is to say
		p.code = cmd.ProcessState.ExitCode()
		_ = guard.Close()
	}(p.done)
	return nil
}

// signal sends a signal to the program itself.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("%s: is not running", p.name)
	}
	return syscall.Kill(p.pid, s)
}

// running reports whether the program was started and has not ended; p.mu is held.
func (p *process) running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the program at once and waits for its end. One that is not running is left alone.
func (p *process) kill() {
	if p.signal(syscall.SIGKILL) == nil {
		<-p.done
	}
}

// wait waits for the end of the program and returns its exit code; killed programs have 137.
func (p *process) wait(limit time.Duration) (int, error) {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	if done == nil {
		return 0, fmt.Errorf("%s: was never started", p.name)
	}
	select {
	case <-done:
		return p.code, nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s: still runs after %v", p.name, limit)
	}
}

// tail is the end of what the program wrote.
func (p *process) tail() string {
	const most = 2000
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// freeAddr is an address of the loopback that nobody listened on a moment ago. It is none of those that the system gives to
// connections on their own: one of them could take it while the process that it is for is dead.
func freeAddr() (string, error) {
	var last error
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000)))
		if err != nil {
			last = err
			continue
		}
		return l.Addr().String(), l.Close()
	}
	return "", last
}

// poll asks ok until it holds. The error is the last one of ok when the time is over.
func poll(limit time.Duration, ok func() error) error {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		var end *finalError
		if errors.As(err, &end) || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}

// finalError ends a poll at once.
type finalError struct{ error }
