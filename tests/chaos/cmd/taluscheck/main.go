// Command taluscheck uses a deployment of Talus for a while, with people who write and people who watch, and says whether
// it kept its guarantees. It exits with 0 if it did, 1 if it did not, and 2 if that could not be found out.
//
//	taluscheck -command http://127.0.0.1:8080 -sessions 10 -clients 5 -for 30s -seed 1 -history out.jsonl
//	taluscheck -check out.jsonl
//
// It makes sessions of its own and touches no others. With -redis it reads the logs from Redis itself instead of through
// the command instances.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/chaos/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	kept, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "taluscheck:", err)
		os.Exit(2)
	case !kept:
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	work           workload.Config
	check          check.Config
	commands       string
	edges          string
	redis          string
	history, saved string
	json, few      bool
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("taluscheck", flag.ContinueOnError)
	f.StringVar(&o.commands, "command", "", "base `URLs` of the command instances, with commas; or of a proxy or a standalone")
	f.StringVar(&o.edges, "edge", "", "base `URLs` of the edges, with commas; default: those of -command")
	f.IntVar(&o.work.Sessions, "sessions", 10, "sessions")
	f.IntVar(&o.work.Clients, "clients", 5, "clients that watch each session")
	f.IntVar(&o.work.Writers, "writers", 2, "people who command each session")
	f.Float64Var(&o.work.Rate, "rate", 10, "requests per second of each of them, on average")
	f.DurationVar(&o.work.For, "for", 30*time.Second, "how long they go on")
	f.IntVar(&o.work.MaxCommands, "max", 0, "acknowledged commands after which they end; 0: no limit")
	f.Uint64Var(&o.work.Seed, "seed", 1, "seed of everything that is drawn")
	f.BoolVar(&o.work.Delete, "delete", true, "delete the sessions at the end")
	f.DurationVar(&o.work.Churn, "churn", 5*time.Second, "after which a client comes back on another connection, on average; negative: never")
	f.StringVar(&o.redis, "redis", "", "Redis `URL`: read the logs there, digests and private parts included")
	f.StringVar(&o.history, "history", "", "`file` to keep the history in; compressed if it ends in .gz")
	f.StringVar(&o.saved, "check", "", "check the history in this `file` and run nothing")
	f.IntVar(&o.check.UndoDepth, "undo-depth", 200, "TALUS_UNDO_DEPTH of the deployment")
	f.DurationVar(&o.check.Current, "current", 10*time.Second, "within which all must be current")
	f.BoolVar(&o.few, "few", false, "accept a run that looked at little")
	f.BoolVar(&o.json, "json", false, "write the verdict as JSON")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.saved == "" && o.commands == "" {
		return o, errors.New("-command or -check is required; -help tells more")
	}
	if o.edges == "" {
		o.edges = o.commands
	}
	o.work.Commands, o.work.Edges = urls(o.commands), urls(o.edges)
	if o.few {
		o.check.Minimum = check.Minimums()
		for id := range o.check.Minimum {
			o.check.Minimum[id] = 0
		}
	}
	return o, nil
}

func urls(list string) []string {
	var all []string
	for url := range strings.SplitSeq(list, ",") {
		if url = strings.TrimSpace(url); url != "" {
			all = append(all, url)
		}
	}
	return all
}

// run reports whether the guarantees were kept.
func run(ctx context.Context, args []string, out io.Writer) (bool, error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	file := o.saved
	if file == "" {
		if file = o.history; file == "" {
			dir, err := os.MkdirTemp("", "taluscheck-")
			if err != nil {
				return false, err
			}
			defer os.RemoveAll(dir)
			file = filepath.Join(dir, "history.jsonl")
		}
		if err := record(ctx, o, file); err != nil {
			return false, err
		}
	}
	verdict, err := check.Run(o.check, history.File(file))
	if err != nil {
		return false, err
	}
	if o.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return verdict.Passed, encoder.Encode(verdict)
	}
	return verdict.Passed, verdict.WriteTable(out)
}

// record runs the workload and keeps its history in a file.
func record(ctx context.Context, o options, file string) (err error) {
	out, err := history.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	o.work.Recorder = history.NewRecorder(out)
	if o.redis != "" {
		opts, err := eventlog.Options(o.redis)
		if err != nil {
			return err
		}
		rdb := redis.NewUniversalClient(opts)
		defer rdb.Close()
		o.work.Logs = workload.StreamLogs{Log: eventlog.New(rdb, eventlog.Config{})}
	}
	return workload.Run(ctx, o.work)
}
