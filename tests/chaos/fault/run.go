package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/chaos/topology"
	"github.com/talus-tally/talus/tests/chaos/workload"
)

// Times of a run that faults must know.
const (
	drain          = 5 * time.Second  // TALUS_DRAIN of all services
	requestTimeout = 3 * time.Second  // of people
	returnTime     = 3 * time.Second  // in which clients come back when nothing hinders them
	silence        = 5 * time.Second  // after which clients give a connection up
	offBranch      = 12 * time.Second // after a loss all must have left the dead branch, and be seen to
	healLimit      = 40 * time.Second
	minimum        = 300 // acknowledged commands of a run: enough for every check to have something to look at
)

// Config is one run of one fault. The zero value of a field but Fault, Binaries and Dir means its default.
type Config struct {
	Fault    Fault
	Seed     uint64
	Binaries string // directory of topology.Build
	Dir      string // for data; the run makes a directory of its own in it and removes it
	Keep     string // directory for the history and the logs of a run that failed; empty: they are not kept
	KeepAll  bool   // also those of a run that passed

	Sessions int           // default 8
	Clients  int           // per session, default 5
	Writers  int           // per session, default 1
	Rate     float64       // requests per second and writer, default 12
	Rounds   int           // how often the fault strikes, default 1; one that loses data strikes once
	Calm     time.Duration // before the first fault and after each heal, default 2 s
}

func (c Config) withDefaults() Config {
	c.Sessions, c.Clients, c.Writers = cmp.Or(c.Sessions, 8), cmp.Or(c.Clients, 5), cmp.Or(c.Writers, 1)
	c.Rate, c.Rounds, c.Calm = cmp.Or(c.Rate, 12), cmp.Or(c.Rounds, 1), cmp.Or(c.Calm, 2*time.Second)
	if c.Fault.Loses {
		c.Rounds = 1
	}
	return c
}

// Run brings a system up, lets people use it, strikes, waits until all is at rest, and judges. An error means that there
// was no such run; what the system does wrong is in the result.
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg = cfg.withDefaults()
	result := Result{Fault: cfg.Fault.ID, Title: cfg.Fault.Title, Seed: cfg.Seed, Loses: cfg.Fault.Loses}
	if cfg.Fault.Needs != nil {
		if result.Skipped = cfg.Fault.Needs(); result.Skipped != "" {
			return result, nil
		}
	}
	began := time.Now()
	dir, err := os.MkdirTemp(cfg.Dir, "chaos-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	d := &driver{cfg: cfg, dir: dir, history: filepath.Join(dir, "history.jsonl")}
	err = d.run(ctx, &result)
	result.Seconds = time.Since(began).Seconds()
	if cfg.Keep != "" && (err != nil || !result.Passed || cfg.KeepAll) && ctx.Err() == nil {
		err = errors.Join(err, d.keep(filepath.Join(cfg.Keep, fmt.Sprintf("%s-%d", cfg.Fault.ID, cfg.Seed))))
	}
	return result, err
}

// driver is a run in progress.
type driver struct {
	cfg     Config
	dir     string
	history string
	scene   *Scene
	peak    map[string]float64 // by metric: the most that an instance used while something was broken
}

func (d *driver) run(ctx context.Context, result *Result) error {
	shape := d.cfg.Fault.Shape
	shape.Binaries, shape.Dir = d.cfg.Binaries, d.dir
	settings := map[string]string{"TALUS_LOG_RETENTION": "0", "TALUS_DRAIN": drain.String(), "TALUS_LOG_LEVEL": "info"}
	maps.Copy(settings, shape.Settings)
	shape.Settings = settings
	system, err := topology.Start(ctx, shape)
	if err != nil {
		return err
	}
	defer system.Close()
	d.scene = &Scene{System: system, Rng: rand.New(rand.NewPCG(d.cfg.Seed, 0xfa))}
	d.peak = map[string]float64{}
	if err := d.work(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, i := range system.Instances() {
		if !i.Alive() {
			d.scene.Wrong("%s is not running at the end", i.Name)
		}
	}
	verdict, err := check.Run(d.bounds(), history.File(d.history))
	if err != nil {
		return err
	}
	came, err := follow(history.File(d.history))
	if err != nil {
		return err
	}
	d.judge(came)
	result.fill(verdict, came.current(), d.scene, d.peak)
	return nil
}

// work lets people use the system while the fault strikes, and writes the history.
func (d *driver) work(ctx context.Context) (err error) {
	out, err := history.Create(d.history)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	opts, err := eventlog.Options("redis://" + d.scene.System.Direct.Addr() + "/0")
	if err != nil {
		return err
	}
	rdb := redis.NewUniversalClient(opts)
	defer rdb.Close()
	cfg := workload.Config{
		Logs:     workload.StreamLogs{Log: eventlog.New(rdb, eventlog.Config{})},
		Recorder: history.NewRecorder(out), Sessions: d.cfg.Sessions, Clients: d.cfg.Clients, Writers: d.cfg.Writers, Rate: d.cfg.Rate, Seed: d.cfg.Seed,
		For: d.length(), MinCommands: minimum, Jitter: time.Second, Silence: silence, Timeout: requestTimeout, LogEvery: d.cfg.Fault.LogEvery,
		During: func(_ context.Context, r *history.Recorder, sessions []string) { d.strike(ctx, r, sessions) }, // it takes the time that healing takes
	}
	for _, i := range d.scene.System.Commands {
		cfg.Commands = append(cfg.Commands, i.URL)
	}
	for _, i := range d.scene.System.Edges {
		cfg.Edges = append(cfg.Edges, i.URL)
	}
	return workload.Run(ctx, cfg)
}

// length is for how long people write: the planned time. They go on for longer if healing takes longer.
func (d *driver) length() time.Duration {
	return d.cfg.Calm + time.Duration(d.cfg.Rounds)*(d.cfg.Fault.Hold*3/2+d.calm()+time.Second)
}

// calm is how long people go on after a heal. After a loss that is until nobody may be on the dead branch any more.
func (d *driver) calm() time.Duration {
	if d.cfg.Fault.Loses {
		return max(d.cfg.Calm, offBranch)
	}
	return d.cfg.Calm
}

// strike is what happens beside the people.
func (d *driver) strike(ctx context.Context, recorder *history.Recorder, sessions []string) {
	d.scene.recorder, d.scene.Sessions = recorder, sessions
	pause(ctx, d.cfg.Calm)
	for range d.cfg.Rounds {
		if ctx.Err() != nil {
			return
		}
		d.round(ctx)
		pause(ctx, d.calm())
	}
}

// round brings the fault about, lets it last, and ends it. When the run is interrupted nothing needs to be healed.
func (d *driver) round(ctx context.Context) {
	s, f := d.scene, d.cfg.Fault
	s.Aimed, s.Hold = some(s.Rng, f.Aims, s.Sessions), f.Hold+time.Duration(s.Rng.Int64N(int64(f.Hold)))
	name := f.ID + " " + f.Title
	s.recorder.Mark(history.FaultBegin, name, s.Aimed...)
	stop := every(200*time.Millisecond, d.sample)
	ctx, cancel := context.WithTimeout(ctx, f.Hold*2+healLimit)
	defer cancel()
	heal, err := f.Inject(ctx, s)
	if err != nil {
		s.Wrong("it could not be brought about: %v", err)
	}
	pause(ctx, s.Hold)
	if heal != nil {
		if err := heal(ctx); err != nil {
			s.Wrong("it could not be healed: %v", err)
		}
	}
	stop()
	s.recorder.Mark(history.FaultEnd, name, s.Aimed...)
	s.recorder.Mark(history.Heal, name)
}

// sample notes what the instances use while something is broken.
func (d *driver) sample(ctx context.Context) {
	for _, i := range d.scene.System.Instances() {
		figures, err := i.Usage(ctx, "go_goroutines", "process_resident_memory_bytes")
		if err != nil {
			continue // it is what is broken
		}
		for name, figure := range figures {
			d.peak[name] = max(d.peak[name], figure)
		}
	}
}

// move moves a file, to another file system if need be.
func move(from, to string) error {
	if os.Rename(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Remove(from))
}

// keep copies what tells why a run failed.
func (d *driver) keep(to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	var errs error
	for _, pattern := range []string{"history.jsonl", "*.log"} {
		paths, err := filepath.Glob(filepath.Join(d.dir, pattern))
		errs = errors.Join(errs, err)
		for _, path := range paths {
			errs = errors.Join(errs, move(path, filepath.Join(to, filepath.Base(path))))
		}
	}
	return errs
}
