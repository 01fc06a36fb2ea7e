package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/meter"
	"github.com/talus-tally/talus/tests/load/rival"
)

// other is a server of other people that stands in the place of Talus: two processes on one Redis, of which one
// publishes and one holds the clients.
type other struct {
	name, what string
	dialect    follow.Dialect
	// prepare brings what the server needs to a directory and returns the program with its arguments.
	prepare func(ctx context.Context, dir string) ([]string, error)
	// env tells a process its port and its Redis.
	env func(port, redisURL string) []string
}

func others() []other {
	return []other{
		{
			"socketio", "Socket.IO on Node with the Redis streams adapter", follow.SocketIO{}, prepareSocketIO,
			func(port, redisURL string) []string {
				return []string{"PORT=" + port, "REDIS_URL=" + redisURL, "NODE_ENV=production"}
			},
		},
		{
			"centrifugo", "Centrifugo " + centrifugo + " with its Redis engine", follow.Centrifugo{}, prepareCentrifugo,
			func(port, redisURL string) []string {
				return []string{
					"CENTRIFUGO_HTTP_SERVER_ADDRESS=127.0.0.1", "CENTRIFUGO_HTTP_SERVER_PORT=" + port,
					"CENTRIFUGO_ENGINE_REDIS_ADDRESS=" + redisURL,
				}
			},
		},
	}
}

// Rivals are the names that Shape.Rival knows.
func Rivals() (names []string) {
	for _, o := range others() {
		names = append(names, o.name)
	}
	return names
}

// unpack writes files that the program carries to a directory.
func unpack(dir string, names ...string) error {
	for _, name := range names {
		text, err := rival.Files.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func output(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

func prepareSocketIO(ctx context.Context, dir string) ([]string, error) {
	if err := unpack(dir, "server.js", "package.json", "package-lock.json"); err != nil {
		return nil, err
	}
	if err := output(ctx, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"); err != nil {
		return nil, err
	}
	return []string{"node", filepath.Join(dir, "server.js")}, nil
}

// centrifugo is the version that is compared.
const centrifugo = "v6.9.1"

// prepareCentrifugo takes the program from PATH, or builds it, which takes two minutes.
func prepareCentrifugo(ctx context.Context, dir string) ([]string, error) {
	if err := unpack(dir, "centrifugo.json"); err != nil {
		return nil, err
	}
	program, err := exec.LookPath("centrifugo")
	if err != nil {
		program = filepath.Join(dir, "centrifugo")
		if err := output(ctx, dir, "env", "GOBIN="+dir, "go", "install", "github.com/centrifugal/centrifugo/v6@"+centrifugo); err != nil {
			return nil, err
		}
	}
	return []string{program, "-c", filepath.Join(dir, "centrifugo.json")}, nil
}

// launchRival starts what is to be compared.
func (s *System) launchRival(ctx context.Context, shape Shape) error {
	all := others()
	i := slices.IndexFunc(all, func(o other) bool { return o.name == shape.Rival })
	if i < 0 {
		return fmt.Errorf("%q is no rival; there are %s", shape.Rival, strings.Join(Rivals(), ", "))
	}
	o := all[i]
	if _, err := exec.LookPath("redis-server"); err != nil && shape.RedisURL == "" {
		return errors.New("rivals need a redis-server on PATH, or -redis")
	}
	if err := s.launchRedis(ctx, &shape); err != nil {
		return err
	}
	argv, err := o.prepare(ctx, s.dir)
	if err != nil {
		return err
	}
	var at [2]string
	for i, name := range []string{o.name, "publisher"} {
		if at[i], err = s.launchOther(ctx, o, shape, name, argv); err != nil {
			return err
		}
	}
	if s.gateway, err = rival.NewGateway("http://" + at[1] + "/api/publish"); err != nil {
		return err
	}
	s.What, s.Dialect = o.what, o.dialect
	s.Edges = []netip.AddrPort{netip.MustParseAddrPort(at[0])}
	s.Command = s.gateway.Addr()
	s.Base = "http://" + s.Command
	s.meterRedis()
	return nil
}

// launchOther starts one process and returns where it listens.
func (s *System) launchOther(ctx context.Context, o other, shape Shape, name string, argv []string) (string, error) {
	addr, err := freeAddr()
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(addr) // it was made a moment ago
	p, err := launch(s.dir, name, o.env(port, shape.RedisURL), argv...)
	if err != nil {
		return "", err
	}
	s.processes = append(s.processes, p)
	s.Servers = append(s.Servers, meter.Process{Title: name, PID: p.cmd.Process.Pid})
	return addr, p.ready(func() error { return answers(ctx, "http://"+addr+"/health") })
}
