//go:build linux

package scenario

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/talus-tally/talus/tests/load/drive"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/swarm"
)

// growth measures costs along five axes, one at a time. Params.Clients and Params.Rooms bound the sizes.
func growth(ctx context.Context, b *Bench) error {
	for _, axis := range []func(context.Context, *Bench) error{byClients, byRooms, byEdges, byNodes, byLog} {
		if err := axis(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// sizes are the given ones up to a bound, 0 for none.
func sizes(bound int, all ...int) (some []int) {
	for _, n := range all {
		if bound == 0 || n <= bound {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		some = append(some, bound)
	}
	return some
}

// grown draws curves over an axis and notes their slopes.
type grown struct {
	file, title, x string
	series         []report.Series
}

func (g *grown) add(name string, x, y float64) {
	for i := range g.series {
		if g.series[i].Name == name {
			g.series[i].Points = append(g.series[i].Points, [2]float64{x, y})
			return
		}
	}
	g.series = append(g.series, report.Series{Name: name, Points: [][2]float64{{x, y}}})
}

// finish puts the chart into the result, and the slope of each curve on two logarithmic axes: 0 is constant, 1 is
// proportional.
func (g *grown) finish(b *Bench) {
	for _, s := range g.series {
		if slope, ok := slopeOf(s.Points); ok {
			b.Result.Note("%s, %s: slope %.2f from %g to %g", g.title, s.Name, slope, s.Points[0][0], s.Points[len(s.Points)-1][0])
		}
	}
	b.Result.Charts = append(b.Result.Charts, report.Chart{
		File: g.file, Title: g.title, X: g.x, Y: "µs, or calls", LogX: true, LogY: true, Series: g.series,
	})
}

// slopeOf fits a line to the logarithms of points, by least squares.
func slopeOf(points [][2]float64) (float64, bool) {
	var n, sx, sy, sxx, sxy float64
	for _, p := range points {
		if p[0] > 0 && p[1] > 0 {
			x, y := math.Log(p[0]), math.Log(p[1])
			n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
		}
	}
	spread := n*sxx - sx*sx
	return (n*sxy - sx*sy) / spread, n >= 2 && spread > 1e-9
}

// watched measures one point with clients and adds it to a table.
func (b *Bench) watched(ctx context.Context, name string, rooms, clients int, rate float64) (span, error) {
	c, err := b.gather(ctx, swarm.Config{}, rooms, clients)
	if err != nil {
		return span{}, err
	}
	defer c.Close()
	defer b.verdict(c)
	b.Say("%s: %s", b.Result.Scenario, name)
	s, err := b.measure(ctx, c, rate, or(b.For, 4*time.Second))
	if err == nil {
		b.Result.Add(name, append(s.fanOut(), report.Figure{Name: "Redis calls/commit", Value: s.calling()})...)
	}
	return s, err
}

// calling is the commands that Redis carried out per commit.
func (s span) calling() float64 { return float64(s.calls.Total()) / max(float64(s.outcome.Sent), 1) }

func byClients(ctx context.Context, b *Bench) error {
	g := grown{file: "growth-clients", title: "Clients per room, 10 commits/s", x: "clients in the room"}
	for _, n := range sizes(b.Clients, 1, 10, 100, 1000, 10_000) {
		s, err := b.watched(ctx, fmt.Sprintf("%d clients in a room", n), 1, n, 10)
		if err != nil {
			return err
		}
		g.add("edge CPU/commit", float64(n), per(s.edges, float64(s.outcome.Sent)))
		g.add("edge CPU/delivery", float64(n), per(s.edges, s.deliveries))
		g.add("Redis calls/commit", float64(n), s.calling())
	}
	g.finish(b)
	return nil
}

func byRooms(ctx context.Context, b *Bench) error {
	g := grown{file: "growth-rooms", title: "Rooms of one client, 200 commits/s in all", x: "rooms"}
	for _, n := range sizes(b.Rooms, 1, 10, 100, 1000, 5000) {
		s, err := b.watched(ctx, fmt.Sprintf("%d rooms", n), n, n, 200)
		if err != nil {
			return err
		}
		g.add("edge CPU/commit", float64(n), per(s.edges, float64(s.outcome.Sent)))
		g.add("Redis calls/commit", float64(n), s.calling())
	}
	g.finish(b)
	return nil
}

func byEdges(ctx context.Context, b *Bench) error {
	g := grown{file: "growth-edges", title: "400 clients of one room on more and more edges, 50 commits/s", x: "edges"}
	all := b.System.Edges
	defer func() { b.System.Edges = all }()
	clients := min(or(b.Clients, 400), 400)
	for n := 1; n <= len(all); n++ {
		b.System.Edges = all[:n]
		s, err := b.watched(ctx, fmt.Sprintf("%d edges", n), 1, clients, 50)
		if err != nil {
			return err
		}
		g.add("edges' CPU/commit", float64(n), per(s.edges, float64(s.outcome.Sent)))
		g.add("Redis calls/commit", float64(n), s.calling())
	}
	g.finish(b)
	return nil
}

// unwatched measures what commands to one session cost when nobody listens.
func (b *Bench) unwatched(ctx context.Context, name string, s *drive.Session, rate float64) (span, error) {
	only := []*drive.Session{s}
	b.Say("%s: %s", b.Result.Scenario, name)
	b.judge(drive.Run(ctx, b.changes(only, rate, warm)))
	from, err := b.read(ctx, nil)
	if err != nil {
		return span{}, err
	}
	o := drive.Run(ctx, b.changes(only, rate, or(b.For, 4*time.Second)))
	to, err := b.read(ctx, nil)
	if err != nil {
		return span{}, err
	}
	b.judge(o)
	found := b.between(from, to)
	found.outcome = o
	b.Result.Add(name, found.commanding(o)...)
	return found, ctx.Err()
}

// command is the CPU time of what carries out commands.
func (s span) command() time.Duration {
	if cpu, apart := s.others["command"]; apart {
		return cpu
	}
	return s.edges
}

func byNodes(ctx context.Context, b *Bench) error {
	g := grown{file: "growth-nodes", title: "Nodes of a graph, 200 changes/s of one node", x: "nodes"}
	for _, n := range sizes(100*b.Clients, 10, 100, 1000, 10_000, 100_000) {
		session, err := drive.NewPlanted(ctx, b.System.Base, n)
		if err != nil {
			return err
		}
		s, err := b.unwatched(ctx, fmt.Sprintf("%d nodes", n), session, 200)
		if err != nil {
			return err
		}
		g.add("command CPU", float64(n), per(s.command(), float64(s.outcome.Sent)))
		g.add("Redis CPU", float64(n), per(s.others["redis"], float64(s.outcome.Sent)))
	}
	g.finish(b)
	return nil
}

func byLog(ctx context.Context, b *Bench) error {
	g := grown{file: "growth-log", title: "Length of a session's log, 200 changes/s", x: "commits in the log"}
	session, err := drive.NewSession(ctx, b.System.Base, "long")
	if err != nil {
		return err
	}
	for _, n := range sizes(100*b.Clients, 100, 1000, 10_000) {
		for left := float64(n) - float64(session.Head()); left > 0; left = float64(n) - float64(session.Head()) {
			b.judge(drive.Run(ctx, b.changes([]*drive.Session{session}, 2000, time.Duration(left/2000*float64(time.Second)))))
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		s, err := b.unwatched(ctx, fmt.Sprintf("%d commits", n), session, 200)
		if err != nil {
			return err
		}
		g.add("command CPU", float64(n), per(s.command(), float64(s.outcome.Sent)))
		g.add("Redis CPU", float64(n), per(s.others["redis"], float64(s.outcome.Sent)))
	}
	g.finish(b)
	return nil
}
