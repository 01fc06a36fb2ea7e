// Package meter reads what servers use, from outside: CPU time and resident memory of processes of this machine out of
// /proc, the same of others out of their metrics, and the commands that Redis has carried out.
package meter

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// Usage is what a process has used so far, or uses now.
type Usage struct {
	CPU   time.Duration // user and system, since its start
	RSS   int64         // bytes
	Files int           // open file descriptors; 0 if not known
}

// Meter reads the usage of one server.
type Meter interface {
	Name() string
	Read(ctx context.Context) (Usage, error)
}

// tick is the unit of times in /proc: USER_HZ is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// Process is a process of this machine.
type Process struct {
	Title string
	PID   int
}

// Name implements Meter.
func (p Process) Name() string { return p.Title }

// Read implements Meter.
func (p Process) Read(context.Context) (Usage, error) {
	dir := fmt.Sprintf("/proc/%d", p.PID)
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, fmt.Errorf("%s: %w", p.Title, err)
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name before it may hold anything
	fields := strings.Fields(after)
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3 // proc(5) counts from 1, and two are cut off
	if len(fields) <= rss {
		return Usage{}, fmt.Errorf("%s: %s/stat is short", p.Title, dir)
	}
	var n [3]int64
	for i, field := range []int{utime, stime, rss} {
		if n[i], err = strconv.ParseInt(fields[field], 10, 64); err != nil {
			return Usage{}, fmt.Errorf("%s: %s/stat: %w", p.Title, dir, err)
		}
	}
	u := Usage{CPU: time.Duration(n[0]+n[1]) * tick, RSS: n[2] * int64(os.Getpagesize())}
	if files, err := os.ReadDir(dir + "/fd"); err == nil {
		u.Files = len(files)
	}
	return u, nil
}

// Self reads the usage of this process, to the microsecond.
func Self(context.Context) (Usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return Usage{}, fmt.Errorf("getrusage: %w", err)
	}
	return Usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano())}, nil
}

// Metrics is a server that tells of itself at a URL, in the text format of Prometheus.
type Metrics struct {
	Title string
	URL   string
}

// Name implements Meter.
func (m Metrics) Name() string { return m.Title }

// Read implements Meter.
func (m Metrics) Read(ctx context.Context) (Usage, error) {
	values, err := Scrape(ctx, m.URL)
	if err != nil {
		return Usage{}, err
	}
	return Usage{
		CPU:   time.Duration(values["process_cpu_seconds_total"] * float64(time.Second)),
		RSS:   int64(values["process_resident_memory_bytes"]),
		Files: int(values["process_open_fds"]),
	}, nil
}

// Inside is what a Go program says of itself.
type Inside struct {
	Goroutines float64
	Heap       float64 // bytes in use by the heap's spans
}

// ReadInside reads it from a program's metrics.
func ReadInside(ctx context.Context, url string) (Inside, error) {
	values, err := Scrape(ctx, url)
	return Inside{values["go_goroutines"], values["go_memstats_heap_inuse_bytes"]}, err
}

// Scrape reads metrics. Values of one name with different labels are summed up.
func Scrape(ctx context.Context, url string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	values := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		name, _, _ := strings.Cut(line[:at], "{")
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			values[name] += v
		}
	}
	return values, lines.Err()
}

// Calls are commands that a Redis has carried out, by name.
type Calls map[string]int64

// Redis reads the calls since the server's start.
func Redis(ctx context.Context, client redis.UniversalClient) (Calls, error) {
	text, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	calls := Calls{}
	for line := range strings.Lines(text) {
		name, stats, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
		count, _, _ := strings.Cut(stats, ",")
		if n, err := strconv.ParseInt(count, 10, 64); ok && err == nil {
			calls[name] = n
		}
	}
	return calls, nil
}

// Since returns the calls after before.
func (c Calls) Since(before Calls) Calls {
	more := Calls{}
	for name, n := range c {
		if d := n - before[name]; d != 0 {
			more[name] = d
		}
	}
	return more
}

// Total is the number of calls, but for those with which clients ask for figures or keep alive.
func (c Calls) Total() (sum int64) {
	for name, n := range c {
		switch name {
		case "info", "ping", "hello", "client", "client|setinfo", "client|maint_notifications", "select":
		default:
			sum += n
		}
	}
	return sum
}
