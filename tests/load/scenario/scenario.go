//go:build linux

// Package scenario holds what a Talus is put through: one big room, many small ones, storms, silence, slow clients,
// commands. Each scenario fills one result of a report.
//
// A scenario promises that its figures belong to streams that were right: a gap, a repeat, a foreign or missing commit
// is reported as a promise that did not hold.
package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/talus-tally/talus/tests/load/drive"
	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/swarm"
	"github.com/talus-tally/talus/tests/load/system"
)

// Params are what a caller may change. Zero values stand for each scenario's own.
type Params struct {
	Clients int            // connections
	Rooms   int            // sessions
	Rates   []float64      // commits per second, in all rooms together
	For     time.Duration  // how long each rate is measured
	Slow    int            // clients that never read
	Dialect follow.Dialect // how clients are connected
	Pending int            // connections that open at a time
	Callers int            // connections that send commands
	Nap     time.Duration  // how long we leave the sockets alone after we have read them, see swarm.Config
}

func or[T int | float64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (p Params) rates(def ...float64) []float64 {
	if len(p.Rates) > 0 {
		return p.Rates
	}
	return def
}

func (p Params) dialect() follow.Dialect {
	if p.Dialect == nil {
		return follow.Native{}
	}
	return p.Dialect
}

// Bench is a scenario under way.
type Bench struct {
	Params
	System *system.System
	Result *report.Result
	Say    func(format string, args ...any) // progress, for people
}

// Scenario is one way to load a system.
type Scenario struct {
	Name  string
	About string
	run   func(ctx context.Context, b *Bench) error
}

// All returns the scenarios, in the order in which a full run takes them.
func All() []Scenario {
	return []Scenario{
		{"room", "one big room: every commit goes to all clients", room},
		{"ceiling", "one big room under more and more commits, until p99 passes 100 ms", ceiling},
		{"rooms", "many small rooms", rooms},
		{"connect", "connect storm: everybody comes at once", connect},
		{"reconnect", "reconnect storm: everybody is cut off and comes back with a position", reconnect},
		{"kill", "killed edges: everybody loses its edge by kill -9 and comes back with a position", kill},
		{"idle", "idle memory: clients that have joined and hear nothing", idle},
		{"commands", "mixed commands over REST, nobody watches", commands},
		{"slow", "slow consumers: some clients never read", slow},
		{"dialects", "one big room in each way to connect, side by side", dialects},
		{"polling", "many follow one session by long-polling, leave, and must leave nothing behind; takes about five minutes", polling},
		{"growth", "what costs grow with: clients per room, rooms, edges, nodes of a graph, length of a log", growth},
	}
}

// Run puts a system through the scenario.
func (s Scenario) Run(ctx context.Context, p Params, sys *system.System, say func(string, ...any)) (*report.Result, error) {
	b := &Bench{Params: p, System: sys, Result: &report.Result{Scenario: s.Name, About: s.About}, Say: say}
	if err := s.run(ctx, b); err != nil {
		return b.Result, fmt.Errorf("%s: %w", s.Name, err)
	}
	return b.Result, nil
}

// crowd is a swarm that follows some sessions.
type crowd struct {
	*swarm.Swarm
	sessions []*drive.Session
}

// sessions creates n sessions.
func (b *Bench) sessions(ctx context.Context, n int) ([]*drive.Session, error) {
	made := make([]*drive.Session, 0, n)
	for i := range n {
		s, err := drive.NewSession(ctx, b.System.Base, fmt.Sprintf("%s %d", b.Result.Scenario, i))
		if err != nil {
			return nil, err
		}
		made = append(made, s)
	}
	return made, nil
}

// gather creates rooms sessions and spreads clients over them. The caller closes the crowd.
func (b *Bench) gather(ctx context.Context, cfg swarm.Config, rooms, clients int) (*crowd, error) {
	sessions, err := b.sessions(ctx, rooms)
	if err != nil {
		return nil, err
	}
	if cfg.Depth == 0 && rooms > 20 {
		cfg.Depth = 64
	}
	cfg.Pending, cfg.Nap = or(b.Pending, cfg.Pending), b.Nap
	s, err := swarm.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &crowd{s, sessions}
	if err := c.join(ctx, b, clients); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// join spreads clients over the sessions and waits for all.
func (c *crowd) join(ctx context.Context, b *Bench, clients int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var seats []swarm.Seat
	for i, s := range c.sessions {
		share := clients*(i+1)/len(c.sessions) - clients*i/len(c.sessions)
		more, err := c.Seats(b.System.Edges, b.dialect(), s.ID, share)
		if err != nil {
			return err
		}
		seats = append(seats, more...)
	}
	c.Tell(c.heads())
	return c.Open(ctx, seats)
}

// heads are the newest versions that were answered.
func (c *crowd) heads() map[string]uint64 {
	heads := map[string]uint64{}
	for _, s := range c.sessions {
		heads[s.ID] = s.Head()
	}
	return heads
}

// changes is a plan that changes a property in one session after the other.
func (b *Bench) changes(sessions []*drive.Session, rate float64, length time.Duration) drive.Plan {
	host := b.System.Command
	return drive.Plan{
		Addr: host, Callers: or(b.Callers, 8), Rate: rate, For: length,
		Next: func(dst []byte, i int, due int64) []byte {
			return sessions[i%len(sessions)].AppendChange(dst, host, due)
		},
		Took: func(i int, body []byte) { sessions[i%len(sessions)].Saw(body) },
	}
}
