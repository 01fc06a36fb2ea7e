// Package system gives the load generator something to load: a fresh Talus on a Redis of its own, as one process or as
// command service and edges, or one that runs already. It promises that nothing it started outlives the program.
package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/meter"
	"github.com/talus-tally/talus/tests/load/rival"
)

// Shape says what to load.
type Shape struct {
	URL      string   // base URL of a running Talus; empty: start a fresh one
	EdgeURLs []string // base URLs of its edges; empty: URL
	RedisURL string   // of the Redis that a running Talus uses, to count its commands, or that a fresh one is to use; may be empty
	Edges    int      // of a fresh one; 0: standalone, everything in one process
	Binaries string   // directory with programs that are built already; empty: build them
	Settings []string // environment of a fresh one, "NAME=value"
	Rival    string   // one of Rivals: a server of other people in the place of Talus
	Warn     func(string)
}

// System is a Talus under load.
type System struct {
	Base    string           // of REST, without a slash at its end
	Command string           // host:port of REST
	Edges   []netip.AddrPort // of the edges
	Redis   *redis.Client    // nil if it cannot be asked
	Servers []meter.Meter    // edges first, in the order of Edges; a standalone is one server
	What    string           // for the report
	Dialect follow.Dialect   // the only one that it speaks; nil: all of Talus

	dir       string
	processes []*process
	gateway   *rival.Gateway // in front of a rival
}

// Edge returns the meters of the edges.
func (s *System) Edge() []meter.Meter { return s.Servers[:len(s.Edges)] }

// Start brings the system up, or finds it. After an error nothing is left of it.
func Start(ctx context.Context, shape Shape) (*System, error) {
	s := &System{}
	var err error
	if shape.URL != "" {
		err = s.find(shape)
	} else {
		err = s.launch(ctx, shape)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends what was started.
func (s *System) Close() {
	if s.Redis != nil {
		_ = s.Redis.Close()
	}
	if s.gateway != nil {
		s.gateway.Close()
	}
	for _, p := range s.processes {
		p.end()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// KillEdges kills the edges of a fresh system, as kill -9 does, and starts them again where they were.
func (s *System) KillEdges(ctx context.Context) error {
	killed := 0
	for i, p := range s.processes {
		if !strings.HasPrefix(p.name, "edge-") {
			continue
		}
		p.end()
		again, err := p.again(s.dir)
		if err != nil {
			return err
		}
		s.processes[i] = again
		s.Servers[killed] = meter.Process{Title: again.name, PID: again.cmd.Process.Pid}
		addr := s.Edges[killed]
		if err := again.ready(func() error { return answers(ctx, "http://"+addr.String()+"/readyz") }); err != nil {
			return err
		}
		killed++
	}
	if killed == 0 {
		return errors.New("there are no edges that are ours to kill")
	}
	return nil
}

// find uses what runs.
func (s *System) find(shape Shape) error {
	s.Base, s.What = strings.TrimSuffix(shape.URL, "/"), "what runs at "+shape.URL
	command, err := resolve(s.Base)
	if err != nil {
		return err
	}
	s.Command = command.String()
	edges := shape.EdgeURLs
	if len(edges) == 0 {
		edges = []string{s.Base}
	}
	for i, edge := range edges {
		addr, err := resolve(edge)
		if err != nil {
			return err
		}
		s.Edges = append(s.Edges, addr)
		s.Servers = append(s.Servers, meter.Metrics{Title: fmt.Sprintf("edge-%d", i+1), URL: strings.TrimSuffix(edge, "/") + "/metrics"})
	}
	if len(shape.EdgeURLs) > 0 {
		s.Servers = append(s.Servers, meter.Metrics{Title: "command", URL: s.Base + "/metrics"})
	}
	if shape.RedisURL == "" {
		return nil
	}
	return s.connect(shape.RedisURL)
}

func (s *System) connect(redisURL string) error {
	opts, err := redis.ParseURL(redisURL)
	if err == nil {
		s.Redis = redis.NewClient(opts)
	}
	return err
}

// resolve is the address that a base URL names.
func resolve(base string) (netip.AddrPort, error) {
	u, err := url.Parse(base)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if u.Scheme != "http" {
		return netip.AddrPort{}, fmt.Errorf("%s: only http:// is spoken", base)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return netip.AddrPort{}, err
	}
	at := addr.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// launch starts a fresh system.
func (s *System) launch(ctx context.Context, shape Shape) (err error) {
	if s.dir, err = os.MkdirTemp("", "talusload-"); err != nil {
		return err
	}
	if shape.Rival != "" {
		return s.launchRival(ctx, shape)
	}
	programs := []string{"standalone"}
	if shape.Edges > 0 {
		programs = []string{"command", "edge"}
	}
	if shape.Binaries == "" {
		shape.Binaries = s.dir
		if err := build(ctx, s.dir, programs); err != nil {
			return err
		}
	}
	if err := s.launchRedis(ctx, &shape); err != nil {
		return err
	}
	if shape.Edges == 0 {
		s.What = "standalone"
		return s.launchStandalone(ctx, shape)
	}
	s.What = fmt.Sprintf("1 command, %d edges", shape.Edges)
	return s.launchServices(ctx, shape)
}

func build(ctx context.Context, dir string, programs []string) error {
	for _, name := range programs {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), "github.com/talus-tally/talus/services/"+name+"/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// launchRedis starts a server without persistence, unless there is one to use.
func (s *System) launchRedis(ctx context.Context, shape *Shape) error {
	if shape.RedisURL != "" {
		return s.connect(shape.RedisURL)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		if shape.Edges > 0 {
			return errors.New("command and edges need a redis-server on PATH, or -redis")
		}
		shape.Warn("no redis-server on PATH: the embedded one is used, and a commit costs ten times what it costs on Redis")
		return nil
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr) // it was made a moment ago
	p, err := launch(s.dir, "redis", nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no")
	if err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	shape.RedisURL = "redis://" + addr + "/0"
	if err := s.connect(shape.RedisURL); err != nil {
		return err
	}
	return p.ready(func() error { return s.Redis.Ping(ctx).Err() })
}

func (s *System) launchStandalone(ctx context.Context, shape Shape) error {
	addr, err := s.launchProgram(ctx, shape, "standalone", "standalone", "TALUS_PROJECTS_URL=sqlite:"+filepath.Join(s.dir, "talus.db"))
	if err != nil {
		return err
	}
	s.Edges = []netip.AddrPort{addr}
	s.Base, s.Command = "http://"+addr.String(), addr.String()
	s.meterRedis()
	return nil
}

func (s *System) launchServices(ctx context.Context, shape Shape) error {
	for i := range shape.Edges {
		addr, err := s.launchProgram(ctx, shape, fmt.Sprintf("edge-%d", i+1), "edge")
		if err != nil {
			return err
		}
		s.Edges = append(s.Edges, addr)
	}
	addr, err := s.launchProgram(ctx, shape, "command", "command")
	if err != nil {
		return err
	}
	s.Base, s.Command = "http://"+addr.String(), addr.String()
	s.meterRedis()
	return nil
}

// meterRedis adds the Redis that we started, which is our first process then.
func (s *System) meterRedis() {
	if first := s.processes[0]; first.name == "redis" {
		s.Servers = append(s.Servers, meter.Process{Title: "redis", PID: first.cmd.Process.Pid})
	}
}

// launchProgram starts one service on a free port and waits until it is ready.
func (s *System) launchProgram(ctx context.Context, shape Shape, name, program string, env ...string) (netip.AddrPort, error) {
	addr, err := freeAddr()
	if err != nil {
		return netip.AddrPort{}, err
	}
	env = append(env, "TALUS_ADDR="+addr, "TALUS_LOG_LEVEL=warn", "TALUS_LOG_FORMAT=text", "TALUS_ALLOWED_ORIGINS=*")
	if shape.RedisURL != "" {
		env = append(env, "TALUS_REDIS_URL="+shape.RedisURL)
	}
	binary, err := filepath.Abs(filepath.Join(shape.Binaries, program))
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := launch(s.dir, name, append(env, shape.Settings...), binary)
	if err != nil {
		return netip.AddrPort{}, err
	}
	s.processes = append(s.processes, p)
	s.Servers = append(s.Servers, meter.Process{Title: name, PID: p.cmd.Process.Pid})
	return netip.MustParseAddrPort(addr), p.ready(func() error { return answers(ctx, "http://"+addr+"/readyz") })
}

// answers asks once whether a URL answers 200.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
