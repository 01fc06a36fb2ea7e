// Package workload lets people who never sleep use a deployment: sessions with clients that watch over WebSocket and
// writers that command over REST, all of it recorded as a history for package check.
//
// It promises that what it does is drawn from the seed (the sessions are new ones each time), that every request is in the history before it is sent, that
// clients keep to the client rule of the protocol (accept the next commit of the chain, come back with the position they
// hold after anything else), and that requests whose result is unknown are repeated under their key. It ends in time: the
// run is bounded, and so is every wait. It does not judge, breaks nothing (the faults come from outside, see
// Config.During), and removes nothing from the deployment but, if asked to, its own sessions.
//
// Goroutines, all ended when Run returns: one per writer, two per connection, one per graph that is being read, one for
// the faults, one for the logs, and one that flushes the history.
package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/talus-tally/talus/tests/chaos/history"
)

// Config is a run. The zero value of a field but the URLs and the recorder means its default.
type Config struct {
	Commands []string // base URLs of command instances, such as http://127.0.0.1:8080
	Edges    []string // base URLs of edges; the same one as Commands for a proxy or a standalone
	Recorder *history.Recorder
	Logs     LogReader     // nil: through the command instances
	LogEvery time.Duration // after which the logs are read while the run lasts, default 10 s: before they are trimmed

	Sessions    int           // default 10
	Clients     int           // per session, default 5
	Writers     int           // per session, default 2
	For         time.Duration // of writing, default 30 s
	MaxCommands int           // after so many acknowledged commands the writers end, too; 0: no limit
	MinCommands int           // the writers go on until so many were acknowledged, for a minute at most
	Rate        float64       // requests per second and writer on average, default 10
	Seed        uint64        // of everything that is drawn
	Delete      bool          // delete the sessions at the end

	Churn    time.Duration // after which a client comes back on another connection, on average; default 5 s, negative: never
	Sharing  int           // every so many-th client of a session shares its connection with others; default 4, negative: none
	Jitter   time.Duration // up to which clients wait before they come back or, after a resync, read the graph; default 2 s
	Silence  time.Duration // after which a connection that says nothing is given up, default 6 s
	Timeout  time.Duration // of one request, default 5 s
	RetryFor time.Duration // for how long an unknown result is asked for again, default 30 s
	Patience time.Duration // for which everybody has to become current at the end, default 15 s
	Presence time.Duration // for which counts have to become right at rest, default 20 s
	Release  time.Duration // for which instances may keep what the run took after everybody has gone, default 60 s

	// During runs beside the writers, who go on until it returns. It breaks things and puts marks of what it does into
	// the history: history.FaultBegin, FaultEnd, Heal and Loss. Its context ends after For; then it must heal and return.
	During func(ctx context.Context, recorder *history.Recorder, sessions []string)
}

func (c Config) withDefaults() Config {
	c.Sessions, c.Clients, c.Writers = cmp.Or(c.Sessions, 10), cmp.Or(c.Clients, 5), cmp.Or(c.Writers, 2)
	c.For, c.Rate, c.Churn, c.Sharing = cmp.Or(c.For, 30*time.Second), cmp.Or(c.Rate, 10), cmp.Or(c.Churn, 5*time.Second), cmp.Or(c.Sharing, 4)
	c.Jitter, c.Silence = cmp.Or(c.Jitter, 2*time.Second), cmp.Or(c.Silence, 6*time.Second)
	c.Timeout, c.RetryFor = cmp.Or(c.Timeout, 5*time.Second), cmp.Or(c.RetryFor, 30*time.Second)
	c.LogEvery, c.Release = cmp.Or(c.LogEvery, 10*time.Second), cmp.Or(c.Release, time.Minute)
	c.Patience, c.Presence = cmp.Or(c.Patience, 15*time.Second), cmp.Or(c.Presence, 20*time.Second)
	return c
}

// workload is a run in progress.
type workload struct {
	Config
	http     *http.Client
	sessions []*session
	clients  []*client
	ops      atomic.Uint64 // number of the last operation
	acked    atomic.Int64
	resting  atomic.Bool // nobody comes back without need: everybody is to be there
}

// Run uses the deployment until the time is over, waits until all is at rest, sends everybody away and reads the logs.
// The error says that there could be no such run: the deployment could not be reached, or the history not be written.
// What the deployment does wrong is no error; it is in the history.
func Run(ctx context.Context, cfg Config) error {
	if len(cfg.Commands) == 0 || len(cfg.Edges) == 0 || cfg.Recorder == nil {
		return errors.New("workload: command URLs, edge URLs and a recorder are required")
	}
	w := &workload{Config: cfg.withDefaults()}
	w.http = &http.Client{Timeout: w.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}}
	defer w.http.CloseIdleConnections()
	if w.Logs == nil {
		w.Logs = &restLogs{w: w}
	}
	stop := w.flushing()
	err := w.run(ctx)
	stop()
	return errors.Join(err, w.Recorder.Flush())
}

// flushing writes the history out every second, so that a run that is killed leaves one. The returned function ends it.
func (w *workload) flushing() func() {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = w.Recorder.Flush() // the last flush of Run tells
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (w *workload) run(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	base := w.usage(ctx, history.Start)
	w.Recorder.Mark(history.Start, fmt.Sprintf("seed %d: %d sessions, %d clients and %d writers each, %v at %g/s", w.Seed, w.Sessions, w.Clients,
		w.Writers, w.For, w.Rate))
	watching, sendAway := context.WithCancel(ctx)
	defer sendAway()
	w.resting.Store(true)
	links := w.connect()
	var connections sync.WaitGroup
	for _, l := range links {
		connections.Go(func() { l.run(watching) })
	}
	w.await(ctx, w.Patience, func() bool { return w.all((*client).ready) })
	w.resting.Store(false)
	reading, enough := context.WithCancel(ctx)
	var logs sync.WaitGroup
	logs.Go(func() { w.followLogs(reading) })
	w.write(ctx)
	enough()
	logs.Wait()
	w.resting.Store(true)
	w.Recorder.Mark(history.Quiesce, "")
	w.settle(ctx)
	sendAway()
	connections.Wait()
	w.http.CloseIdleConnections()
	w.Recorder.Mark(history.Stop, "")
	w.counts(ctx, true)
	w.usageAtEnd(ctx, base)
	w.readLogs(ctx)
	return w.end(ctx)
}

// write runs the writers and, beside them, what breaks things.
func (w *workload) write(ctx context.Context) {
	writing, enough := context.WithCancel(ctx)
	defer enough()
	var writers, faults sync.WaitGroup
	for i, s := range w.sessions {
		for n := range w.Writers {
			p := newWriter(w, s, i*w.Writers+n)
			writers.Go(func() { p.run(writing) })
		}
	}
	breaking, over := context.WithTimeout(ctx, w.For)
	defer over()
	if w.During != nil {
		faults.Go(func() { w.During(breaking, w.Recorder, w.ids()) })
	}
	w.await(breaking, w.For, func() bool { return w.MaxCommands > 0 && w.acked.Load() >= int64(w.MaxCommands) })
	over()
	faults.Wait()
	w.await(ctx, time.Minute, func() bool { return w.acked.Load() >= int64(w.MinCommands) })
	enough()
	writers.Wait()
}

// draws is a source of what is drawn, different for each who.
func (w *workload) draws(who uint64) *rand.Rand { return rand.New(rand.NewPCG(w.Seed, who)) }

func (w *workload) ids() []string {
	ids := make([]string, len(w.sessions))
	for i, s := range w.sessions {
		ids[i] = s.id
	}
	return ids
}

// await looks every few milliseconds until ok holds, the time is over or the context ends.
func (w *workload) await(ctx context.Context, within time.Duration, ok func() bool) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for !ok() {
		if !pause(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// pause waits; it reports false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
