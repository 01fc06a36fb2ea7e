//go:build linux

// Talusload loads a Talus and tells what it found: a table on standard output, report.json and pictures in a directory.
// Without -url it starts a fresh Talus for each scenario and ends it again. It exits with 1 if a stream was wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/scenario"
	"github.com/talus-tally/talus/tests/load/system"
)

// options are the flags.
type options struct {
	scenarios string
	out       string
	shape     system.Shape
	params    scenario.Params
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		err = run(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "talusload:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("talusload", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "Usage: talusload [flags]\n\nScenarios, or a set of them:")
		for _, s := range scenario.All() {
			fmt.Fprintf(f.Output(), "  %-10s %s\n", s.Name, s.About)
		}
		for _, s := range scenario.Sets() {
			fmt.Fprintf(f.Output(), "  %-10s %s\n", s.Name, s.About)
		}
		fmt.Fprintln(f.Output(), "\nFlags:")
		f.PrintDefaults()
	}
	var edges, rates, dialect, settings string
	f.StringVar(&o.scenarios, "scenario", "standard", "comma-separated scenarios, or a set")
	f.StringVar(&o.out, "out", "load-results", "directory for report.json and the pictures")
	f.StringVar(&o.shape.URL, "url", "", "base URL of a running Talus, such as http://127.0.0.1:8080; empty: start a fresh one")
	f.StringVar(&edges, "edge-urls", "", "comma-separated base URLs of its edges, if they are reached apart from -url")
	f.StringVar(&o.shape.RedisURL, "redis", "", "URL of its Redis, to count commands there; without -url: of a Redis to use")
	f.IntVar(&o.shape.Edges, "edges", 0, "edges of a fresh Talus; 0: standalone, everything in one process")
	f.StringVar(&o.shape.Binaries, "binaries", "", "directory with built programs; empty: build them")
	f.StringVar(&o.shape.Rival, "rival", "", "load another server in the place of Talus: "+strings.Join(system.Rivals(), ", "))
	f.StringVar(&settings, "settings", "", "comma-separated NAME=value for a fresh Talus")
	f.IntVar(&o.params.Clients, "clients", 0, "connections")
	f.IntVar(&o.params.Rooms, "rooms", 0, "sessions")
	f.StringVar(&rates, "rates", "", "comma-separated commits per second")
	f.DurationVar(&o.params.For, "for", 0, "how long each rate is measured")
	f.IntVar(&o.params.Slow, "slow", 0, "clients that never read")
	f.IntVar(&o.params.Pending, "pending", 0, "connections that open at a time")
	f.IntVar(&o.params.Callers, "callers", 0, "connections that send commands")
	f.DurationVar(&o.params.Nap, "nap", 0, "how long we leave the sockets alone after we have read them; 0 measures the server with a client that wakes for every frame")
	f.StringVar(&dialect, "dialect", "", "how clients are connected: "+strings.Join(names(), ", ")+"; default native")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.shape.EdgeURLs, o.shape.Settings = list(edges), list(settings)
	for _, text := range list(rates) {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || rate <= 0 {
			return o, fmt.Errorf("-rates: %q is no rate", text)
		}
		o.params.Rates = append(o.params.Rates, rate)
	}
	if o.params.Dialect, err = follow.Speak(dialect); err != nil {
		return o, fmt.Errorf("-dialect: %w", err)
	}
	if o.shape.Rival != "" && o.shape.URL != "" {
		return o, errors.New("-rival starts servers of its own, -url names one that runs: give one of them")
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	return o, nil
}

func names() (all []string) {
	for _, d := range follow.Dialects() {
		all = append(all, d.Name())
	}
	return all
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// job is a scenario with its sizes.
type job struct {
	scenario.Scenario
	params scenario.Params
}

// jobs finds what -scenario names.
func jobs(o options) ([]job, error) {
	for _, set := range scenario.Sets() {
		if set.Name == o.scenarios {
			var all []job
			for _, part := range set.Parts {
				all = append(all, job{part.Scenario, o.params.Over(part.Params)})
			}
			return all, nil
		}
	}
	var all []job
	for _, name := range list(o.scenarios) {
		i := slices.IndexFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q; -help lists them", name)
		}
		all = append(all, job{scenario.All()[i], o.params})
	}
	return all, nil
}

func run(ctx context.Context, o options) error {
	all, err := jobs(o)
	if err != nil {
		return err
	}
	o.shape.Warn = func(text string) { fmt.Fprintln(os.Stderr, "talusload: warning:", text) }
	whole := report.Report{Began: time.Now().UTC().Truncate(time.Second), Machine: report.ThisMachine()}
	var broken []error
	for _, j := range all {
		err := one(ctx, o, j, &whole)
		if err != nil {
			broken = append(broken, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := whole.Write(o.out); err != nil {
		broken = append(broken, err)
	}
	return errors.Join(broken...)
}

// one runs a scenario on a system of its own, unless one was given.
func one(ctx context.Context, o options, j job, whole *report.Report) error {
	sys, err := system.Start(ctx, o.shape)
	if err != nil {
		return err
	}
	defer sys.Close()
	whole.System = sys.What
	if sys.Dialect != nil {
		j.params.Dialect = sys.Dialect
	}
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "  "+format+"\n", args...) }
	result, err := j.Run(ctx, j.params, sys, say)
	whole.Results = append(whole.Results, result)
	result.Table(os.Stdout)
	if err == nil && len(result.Broken) > 0 {
		err = fmt.Errorf("%s: %s", j.Name, strings.Join(result.Broken, "; "))
	}
	return err
}
