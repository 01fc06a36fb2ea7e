// Package harness lets tests be written as what people do and see: somebody joins a session on one instance, creates
// a node through another, and everybody sees it.
//
// It promises that every instance it starts is the real service with its real wires on loopback, that every client
// checks the client rule of the protocol on each frame (same epoch, next version, chained digest) and fails the test
// at the first violation, and that everything it started has ended when the test ends. It knows nothing of the
// services' insides: it uses the doors that users have.
package harness

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/command"
	"github.com/talus-tally/talus/services/edge"
)

// Patience bounds every wait of the harness for something that should happen.
const Patience = 20 * time.Second

// Shape is how many instances of each service a system has. Settings are environment variables for all of them.
type Shape struct {
	Commands, Edges int
	RedisURL        string            // the test's shared Redis if empty
	Settings        map[string]string // such as TALUS_LOG_RETENTION
}

// System is a running Talus: some command instances and some edges on one Redis.
type System struct {
	t        *testing.T
	RedisURL string
	commands []*Instance
	edges    []*Instance
}

// Instance is one running instance of a service.
type Instance struct {
	URL  string // http://127.0.0.1:port
	stop context.CancelFunc
	done chan struct{}
	once sync.Once
}

// Stop asks the instance to drain and waits until it has.
func (i *Instance) Stop() {
	i.once.Do(func() { i.stop(); <-i.done })
}

// service is the door that both services have.
type service interface {
	Run(ctx context.Context) error
	URL() string
}

// Start brings up a system and tears it down with the test.
func Start(t *testing.T, shape Shape) *System {
	t.Helper()
	sys := &System{t: t, RedisURL: shape.RedisURL}
	if sys.RedisURL == "" {
		sys.RedisURL = redistest.URL(t)
	}
	for range shape.Commands {
		sys.commands = append(sys.commands, sys.StartCommand(shape.Settings))
	}
	for range shape.Edges {
		sys.edges = append(sys.edges, sys.StartEdge(shape.Settings))
	}
	return sys
}

// StartCommand starts one more command instance.
func (s *System) StartCommand(settings map[string]string) *Instance {
	s.t.Helper()
	r := s.settings(settings)
	svc, err := command.New(command.ReadConfig(r), logger(s.t))
	return s.run("command", r, svc, err)
}

// StartEdge starts one more edge.
func (s *System) StartEdge(settings map[string]string) *Instance {
	s.t.Helper()
	r := s.settings(s.withCommands(settings))
	svc, err := edge.New(edge.ReadConfig(r), logger(s.t))
	return s.run("edge", r, svc, err)
}

// Command is the i-th command instance.
func (s *System) Command(i int) *Instance { return s.commands[i] }

// Edge is the i-th edge.
func (s *System) Edge(i int) *Instance { return s.edges[i] }

// withCommands has edges send what clients ask over their sockets to the first command instance, unless settings say where.
func (s *System) withCommands(settings map[string]string) map[string]string {
	if len(s.commands) == 0 || settings["TALUS_COMMAND_URL"] != "" {
		return settings
	}
	all := maps.Clone(settings)
	if all == nil {
		all = map[string]string{}
	}
	all["TALUS_COMMAND_URL"] = s.commands[0].URL
	return all
}

func (s *System) settings(extra map[string]string) *config.Reader {
	values := map[string]string{"TALUS_ADDR": "127.0.0.1:0", "TALUS_REDIS_URL": s.RedisURL}
	for name, value := range extra {
		values[name] = value
	}
	return config.From(func(name string) string { return values[name] })
}

func (s *System) run(name string, r *config.Reader, svc service, err error) *Instance {
	s.t.Helper()
	if cerr := r.Err(); cerr != nil {
		s.t.Fatalf("%s: settings: %v", name, cerr)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	inst := &Instance{URL: svc.URL(), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(inst.done)
		if err := svc.Run(ctx); err != nil {
			s.t.Errorf("%s: Run: %v", name, err)
		}
	}()
	s.t.Cleanup(inst.Stop)
	awaitReady(s.t, inst.URL)
	return inst
}

// logger writes warnings and errors to the test's log, and everything with TALUS_TEST_LOG=1.
func logger(t *testing.T) *slog.Logger {
	level := slog.LevelWarn
	if os.Getenv("TALUS_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
}
