// Package daemon runs a service as a process: the command line, the settings, the signals and the exit code, the same
// for every service.
//
// It promises that a first SIGINT or SIGTERM ends the context that Run gets and lets it drain, that a second one ends
// the process at once, and these exit codes: 0 after a clean stop, 1 when Run failed, 2 when the command line or a
// setting is wrong (every wrong setting is named). It knows nothing of what the service does.
package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/telemetry"
)

// prefix begins the name of every setting; testPrefix those that only tests and builds read.
const (
	prefix     = "TALUS_"
	testPrefix = "TALUS_TEST_"
)

// Program is one service as a process. C is its configuration.
type Program[C any] struct {
	Name  string // as typed, such as "edge"
	About string // one sentence for --help
	Addr  string // default of TALUS_ADDR, for the health subcommand

	// Ballast is how many bytes the heap is made to look larger than it is: about as many bytes of garbage gather before
	// the collector runs. Memory that is never touched takes none. 0, and a process that has GOGC set: as Go does.
	Ballast int

	Read func(*config.Reader) C // declares and reads the settings
	Run  func(context.Context, C, Process) error
}

// Process is what a service gets from the process it runs in.
type Process struct {
	Log *slog.Logger // on standard error
	Out io.Writer    // standard output, for people
}

// System is the part of the operating system that Execute uses; Main fills in the real one.
type System struct {
	Args           []string // without the program's name
	Environ        []string // "NAME=value"
	Getenv         func(string) string
	Stdout, Stderr io.Writer
}

// Main runs the program with the process' own arguments, environment and signals, and exits.
func Main[C any](p Program[C]) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from here on a second signal ends the process
	os.Exit(Execute(ctx, p, System{
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Getenv:  os.Getenv,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}))
}

// Execute does what the arguments ask for and returns the exit code. Without arguments it runs the service until ctx
// ends or the service fails; "health" asks an instance on this machine whether it is ready; "--help" prints the
// settings.
func Execute[C any](ctx context.Context, p Program[C], sys System) int {
	if len(sys.Args) > 1 {
		return misuse(p, sys)
	}
	if len(sys.Args) == 0 {
		return run(ctx, p, sys)
	}
	switch sys.Args[0] {
	case "health":
		return health(ctx, p, sys)
	case "help", "-h", "-help", "--help":
		return help(p, sys)
	}
	return misuse(p, sys)
}

func run[C any](ctx context.Context, p Program[C], sys System) int {
	r := config.From(sys.Getenv)
	logging := telemetry.ReadLogConfig(r)
	cfg := p.Read(r)
	if err := r.Err(); err != nil {
		fmt.Fprintf(sys.Stderr, "%s: these settings cannot be used:\n%v\n", p.Name, err)
		return 2
	}
	log := telemetry.NewLogger(logging, sys.Stderr)
	for _, unknown := range config.UnknownNames(sys.Environ, prefix, r.Settings(), testPrefix) {
		log.Warn("unknown setting", "name", unknown.Name, "nearest", unknown.Nearest)
	}
	if sys.Getenv("GOGC") == "" {
		ballast := make([]byte, p.Ballast)
		defer runtime.KeepAlive(ballast)
	}
	if err := p.Run(ctx, cfg, Process{Log: log, Out: sys.Stdout}); err != nil {
		fmt.Fprintf(sys.Stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	return 0
}

func help[C any](p Program[C], sys System) int {
	r := config.From(nil)
	p.Read(r)
	telemetry.ReadLogConfig(r)
	fmt.Fprintf(sys.Stdout, "%s: %s\n\nUsage: %s [health|--help]\n\n"+
		"  (no argument)   run until SIGINT or SIGTERM\n"+
		"  health          ask the instance on this machine whether it is ready; exit 0 if so\n"+
		"  --help          print this\n\nSettings, read from the environment:\n\n", p.Name, p.About, p.Name)
	if err := config.WriteTable(sys.Stdout, r.Settings()); err != nil {
		return 1
	}
	return 0
}

func misuse[C any](p Program[C], sys System) int {
	fmt.Fprintf(sys.Stderr, "%s: unknown arguments %q; try %s --help\n", p.Name, sys.Args, p.Name)
	return 2
}
