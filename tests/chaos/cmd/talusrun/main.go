// Command talusrun brings Talus up on this machine as it runs in production, breaks it in one way after the other while
// people use it, and says whether it kept its guarantees. It needs redis-server and the Go tool chain, and must run inside
// the workspace. It exits with 0 if the guarantees were kept, 1 if they were not, and 2 if that could not be found out.
//
//	talusrun                                     the smoke run: six faults, about 80 s
//	talusrun -faults long -seeds 3 -sessions 50 -clients 20 -rate 2    the long run
//	talusrun -faults F6,F9-half -seed 7 -v       some faults, with the whole verdict
//
// Everything that it starts ends with it, also when it is killed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/talus-tally/talus/tests/chaos/fault"
	"github.com/talus-tally/talus/tests/chaos/topology"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	kept, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "talusrun:", err)
		os.Exit(2)
	case !kept:
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	run     fault.Config
	faults  string
	seeds   int
	out     string
	list    bool
	verbose bool
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("talusrun", flag.ContinueOnError)
	f.StringVar(&o.faults, "faults", "smoke", "`names` with commas, such as F6 or F6-always; or smoke, long or all")
	f.Uint64Var(&o.run.Seed, "seed", 1, "first seed")
	f.IntVar(&o.seeds, "seeds", 1, "runs of each fault, with one seed after the other")
	f.IntVar(&o.run.Sessions, "sessions", 8, "sessions")
	f.IntVar(&o.run.Clients, "clients", 5, "clients that watch each session")
	f.IntVar(&o.run.Writers, "writers", 1, "people who command each session")
	f.Float64Var(&o.run.Rate, "rate", 12, "requests per second of each of them, on average")
	f.IntVar(&o.run.Rounds, "rounds", 1, "how often a fault strikes in a run; one that loses data strikes once")
	f.DurationVar(&o.run.Calm, "calm", 2*time.Second, "before the first strike and after each heal")
	f.StringVar(&o.out, "out", "chaos-results", "`directory` for results.json, results.md, and the histories of runs that failed")
	f.StringVar(&o.run.Binaries, "bin", "", "`directory` with the programs command and edge; built from the workspace if empty")
	f.BoolVar(&o.list, "list", false, "list the faults")
	f.BoolVar(&o.verbose, "v", false, "print the whole verdict of each run")
	return o, f.Parse(args)
}

// run reports whether the guarantees were kept in every run.
func run(ctx context.Context, args []string, out io.Writer) (bool, error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	if o.list {
		for _, f := range fault.All() {
			fmt.Fprintf(out, "%-14s %s\n", f.ID, f.Title)
		}
		return true, nil
	}
	faults, err := fault.Choose(o.faults)
	if err != nil {
		return false, err
	}
	work, err := os.MkdirTemp("", "talusrun-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	o.run.Dir, o.run.Keep = work, o.out
	if o.run.Binaries == "" {
		o.run.Binaries = filepath.Join(work, "bin")
		if err := topology.Build(ctx, o.run.Binaries); err != nil {
			return false, err
		}
	}
	return o.strike(ctx, faults, out)
}

// strike runs each fault with each seed, prints a line for each run, and writes the results.
func (o options) strike(ctx context.Context, faults []fault.Fault, out io.Writer) (bool, error) {
	fmt.Fprint(out, fault.Header)
	var results []fault.Result
	kept := true
	for n := range o.seeds {
		for _, f := range faults {
			cfg := o.run
			cfg.Fault, cfg.Seed = f, o.run.Seed+uint64(n)
			r, err := fault.Run(ctx, cfg)
			if err != nil {
				return false, errors.Join(fmt.Errorf("%s, seed %d: %w", f.ID, cfg.Seed, err), fault.Write(o.out, results))
			}
			kept = kept && (r.Passed || r.Skipped != "")
			results = append(results, r)
			fmt.Fprint(out, r.Row())
			if err := o.explain(out, r); err != nil {
				return false, err
			}
		}
	}
	fmt.Fprintf(out, "%s\nresults: %s\n", fault.Legend, filepath.Join(o.out, "results.json"))
	return kept, fault.Write(o.out, results)
}

// explain prints what failed in a run, and everything if that is wanted.
func (o options) explain(out io.Writer, r fault.Result) error {
	for _, text := range r.Failed {
		fmt.Fprintf(out, "    %s\n", text)
	}
	if !o.verbose {
		return nil
	}
	for _, note := range r.Notes {
		fmt.Fprintf(out, "    %s\n", note)
	}
	return r.Verdict.WriteTable(out)
}
