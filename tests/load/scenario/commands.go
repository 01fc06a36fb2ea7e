//go:build linux

package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/talus-tally/talus/tests/load/drive"
	"github.com/talus-tally/talus/tests/load/report"
)

// commands sends a mix of commands to many sessions: first as fast as the callers get answers, then at half of that.
func commands(ctx context.Context, b *Bench) error {
	n, callers, length := or(b.Rooms, 100), or(b.Callers, 64), or(b.For, 10*time.Second)
	made, err := b.sessions(ctx, n)
	if err != nil {
		return err
	}
	gardens := make([]*drive.Garden, 0, n)
	for _, s := range made {
		g, err := drive.NewGarden(ctx, b.System.Base, s)
		if err != nil {
			return err
		}
		gardens = append(gardens, g)
	}
	host := b.System.Command
	run := func(what string, rate float64, next func(dst []byte, i int, due int64) []byte) (float64, error) {
		b.Say("%s: %s, %d connections, %d sessions", b.Result.Scenario, what, callers, n)
		from, err := b.read(ctx, nil)
		if err != nil {
			return 0, err
		}
		o := drive.Run(ctx, drive.Plan{Addr: host, Callers: callers, Rate: rate, For: length, Next: next})
		to, err := b.read(ctx, nil)
		if err != nil {
			return 0, err
		}
		b.judge(o)
		b.Result.Add(what, b.between(from, to).commanding(o)...)
		return o.Rate(), ctx.Err()
	}
	change := func(dst []byte, i int, due int64) []byte { return made[i%n].AppendChange(dst, host, due) }
	mix := func(dst []byte, i int, due int64) []byte { return gardens[i%n].Append(dst, host, i/n, due) }
	most, err := run("changes, closed loop", 0, change)
	if err != nil {
		return err
	}
	if _, err = run(fmt.Sprintf("changes at %.0f/s", most/2), most/2, change); err != nil {
		return err
	}
	if most, err = run("mixed, closed loop", 0, mix); err != nil {
		return err
	}
	_, err = run(fmt.Sprintf("mixed at %.0f/s", most/2), most/2, mix)
	return err
}

// commanding is a row's figures for commands.
func (s span) commanding(o drive.Outcome) []report.Figure {
	sent := float64(o.Sent)
	figures := []report.Figure{
		{Name: "commands/s", Value: o.Rate()},
		{Name: "p50", Value: ms(o.Latency, 50), Unit: "ms"},
		{Name: "p99", Value: ms(o.Latency, 99), Unit: "ms"},
		{Name: "max", Value: ms(o.Latency, 100), Unit: "ms"},
	}
	for _, name := range []string{"command", "redis"} {
		if cpu, ok := s.others[name]; ok {
			figures = append(figures, report.Figure{Name: name + " CPU/command", Value: per(cpu, sent), Unit: "µs"})
		}
	}
	if _, apart := s.others["command"]; !apart {
		figures = append(figures, report.Figure{Name: "server CPU/command", Value: per(s.edges, sent), Unit: "µs"})
	}
	return append(figures,
		report.Figure{Name: "Redis calls/command", Value: float64(s.calls.Total()) / max(sent, 1)},
		report.Figure{Name: "our CPU/command", Value: per(s.us, sent), Unit: "µs"})
}
