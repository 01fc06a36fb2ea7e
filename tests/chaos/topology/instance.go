package topology

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Instance is a process of one of the services. Clients reach it through Front, it reaches Redis through Redis.
type Instance struct {
	Name  string // "edge-1"
	URL   string // base URL of Front
	Bare  string // base URL past the proxy
	Front *Link
	Redis *Link
	proc  *process
}

func newInstance(service string, number int, redis string, shape Shape) (*Instance, error) {
	name := fmt.Sprintf("%s-%d", service, number)
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	i := &Instance{Name: name, Bare: "http://" + addr}
	if i.Front, err = newLink("client-"+name, addr); err != nil {
		return nil, err
	}
	if i.Redis, err = newLink(name+"-redis", redis); err != nil {
		i.Front.close()
		return nil, err
	}
	i.URL = "http://" + i.Front.Addr()
	env := []string{"TALUS_ADDR=" + addr, "TALUS_REDIS_URL=redis://" + i.Redis.Addr() + "/0"}
	for key, value := range shape.Settings {
		env = append(env, key+"="+value)
	}
	i.proc = &process{name: name, argv: []string{filepath.Join(shape.Binaries, service)}, env: env, log: filepath.Join(shape.Dir, name+".log")}
	return i, nil
}

// Start runs the instance; it does not wait.
func (i *Instance) Start() error { return i.proc.start() }

// Restart runs an instance that has ended and waits until it is ready.
func (i *Instance) Restart(ctx context.Context) error {
	if err := i.Start(); err != nil {
		return err
	}
	return i.Ready(ctx)
}

// Kill ends the process as kill -9 does.
func (i *Instance) Kill() { i.proc.kill() }

// Freeze stops the process where it stands; Thaw lets it go on.
func (i *Instance) Freeze() error { return i.proc.signal(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (i *Instance) Thaw() error { return i.proc.signal(syscall.SIGCONT) }

// Drain asks the process to end, and returns how long that took and its exit code.
func (i *Instance) Drain(limit time.Duration) (took time.Duration, code int, err error) {
	began := time.Now()
	if err := i.proc.signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	code, err = i.proc.wait(limit)
	return time.Since(began), code, err
}

// Alive reports whether the process runs.
func (i *Instance) Alive() bool {
	i.proc.mu.Lock()
	defer i.proc.mu.Unlock()
	return i.proc.running()
}

// Ready waits until the instance says that it is.
func (i *Instance) Ready(ctx context.Context) error {
	err := poll(startLimit, func() error {
		if ctx.Err() != nil {
			return &finalError{ctx.Err()}
		}
		if !i.Alive() {
			return &finalError{errors.New("it ended")}
		}
		return i.ask(ctx, "/readyz", nil)
	})
	if err != nil {
		return fmt.Errorf("%s: not ready: %w\n%s", i.Name, err, i.proc.tail())
	}
	return nil
}

// Usage reads the given metrics of the instance, past the proxy. Metrics that it does not have are left out; with
// labels, they are summed up.
func (i *Instance) Usage(ctx context.Context, names ...string) (map[string]float64, error) {
	figures := map[string]float64{}
	err := i.ask(ctx, "/metrics", func(line string) {
		name, value, ok := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		if !ok || !slices.Contains(names, name) {
			return
		}
		if _, last, labelled := strings.Cut(line, "} "); labelled {
			value = last
		}
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			figures[name] += f
		}
	})
	return figures, err
}

// ask sends a GET past the proxy and gives the lines of the answer to take.
func (i *Instance) ask(ctx context.Context, path string, take func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.Bare+path, nil)
	if err != nil {
		return err
	}
	req.Close = true // what is asked now and then must not keep a connection
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, resp.StatusCode)
	}
	lines := bufio.NewScanner(resp.Body)
	for take != nil && lines.Scan() {
		take(lines.Text())
	}
	return lines.Err()
}

func (i *Instance) close() {
	_ = i.Thaw() // it may have ended, or not be frozen
	i.proc.kill()
	i.Front.close()
	i.Redis.close()
}
