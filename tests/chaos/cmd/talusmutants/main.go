// Command talusmutants proves that the checker finds bugs: it builds Talus with bugs planted, lets people use one after the
// other, and prints which check found each. It needs redis-server and the Go tool chain, and must run inside the workspace.
// It exits with 0 if every bug was found and a Talus without one passed, 1 if not, and 2 if that could not be found out.
//
//	talusmutants                              all of them, three at a time
//	talusmutants -bugs keep-redo,cross-wire   some
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
	"sync"
	"syscall"

	"github.com/talus-tally/talus/tests/chaos/fault"
	"github.com/talus-tally/talus/tests/chaos/mutant"
	"github.com/talus-tally/talus/tests/chaos/topology"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	right, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "talusmutants:", err)
		os.Exit(2)
	case !right:
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	run      fault.Config
	bugs     string
	parallel int
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("talusmutants", flag.ContinueOnError)
	f.StringVar(&o.bugs, "bugs", "all", "`names` with commas, or all")
	f.IntVar(&o.parallel, "parallel", 3, "how many run at the same time")
	f.Uint64Var(&o.run.Seed, "seed", 1, "seed")
	f.StringVar(&o.run.Binaries, "bin", "", "`directory` with the programs command and edge, built with the tag "+mutant.Tag+"; built from the workspace if empty")
	f.StringVar(&o.run.Keep, "keep", "", "`directory` for the histories")
	return o, f.Parse(args)
}

// run reports whether the checker said what it should of all.
func run(ctx context.Context, args []string, out io.Writer) (bool, error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	mutants, err := mutant.Choose(o.bugs)
	if err != nil {
		return false, err
	}
	work, err := os.MkdirTemp("", "talusmutants-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	if o.run.Dir = work; o.run.Binaries == "" {
		o.run.Binaries = filepath.Join(work, "bin")
		if err := topology.Build(ctx, o.run.Binaries, mutant.Tag); err != nil {
			return false, err
		}
	}
	fmt.Fprint(out, mutant.Header)
	return o.judge(ctx, append([]mutant.Mutant{mutant.Sound()}, mutants...), out)
}

// judge runs mutants, some at a time, and prints their rows in their order.
func (o options) judge(ctx context.Context, mutants []mutant.Mutant, out io.Writer) (bool, error) {
	outcomes, errs := make([]mutant.Outcome, len(mutants)), make([]error, len(mutants))
	done := make([]chan struct{}, len(mutants))
	places := make(chan struct{}, max(1, o.parallel))
	var all sync.WaitGroup
	for i, m := range mutants {
		done[i] = make(chan struct{})
		all.Go(func() {
			defer close(done[i])
			places <- struct{}{}
			defer func() { <-places }()
			cfg := o.run
			if cfg.KeepAll = cfg.Keep != ""; cfg.KeepAll {
				cfg.Keep = filepath.Join(cfg.Keep, string(m.Bug))
			}
			outcomes[i], errs[i] = m.Run(ctx, cfg)
		})
	}
	right := true
	for i := range mutants {
		<-done[i]
		if errs[i] == nil {
			fmt.Fprint(out, outcomes[i].Row())
		}
		right = right && outcomes[i].Right()
	}
	all.Wait()
	return right, errors.Join(errs...)
}
