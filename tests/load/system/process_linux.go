package system

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a program of ours. The kernel ends it with us, however we end.
type process struct {
	name string
	env  []string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// again starts the program of a process that has ended.
func (p *process) again(dir string) (*process, error) {
	return launch(dir, p.name, p.env, p.cmd.Args...)
}

// launch starts a program whose output goes to a file in dir.
func launch(dir, name string, env []string, argv ...string) (*process, error) {
	p := &process{name: name, env: env, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // we end it with a signal
	}()
	return p, nil
}

// ready polls ok until it holds, the program ends or the time is over.
func (p *process) ready(ok func() error) error {
	const limit = 20 * time.Second
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
			continue
		case <-p.done:
			err = errors.New("it ended")
		case <-deadline:
		}
		said, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s: not ready: %w\n%s", p.name, err, said[max(0, len(said)-2000):])
	}
}

// end kills the program and waits for its end.
func (p *process) end() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}
