//go:build linux

package scenario_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/meter"
	"github.com/talus-tally/talus/tests/load/report"
	"github.com/talus-tally/talus/tests/load/scenario"
	"github.com/talus-tally/talus/tests/load/system"
)

// under is a small Talus inside the test, with further settings in pairs.
func under(t *testing.T, edges int, more ...string) *system.System {
	t.Helper()
	short := map[string]string{"TALUS_DRAIN": "500ms"} // an edge waits for pollers, which are gone
	for i := 0; i < len(more); i += 2 {
		short[more[i]] = more[i+1]
	}
	running := harness.Start(t, harness.Shape{Commands: 1, Edges: edges, Settings: short})
	opts, err := redis.ParseURL(running.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	base := running.Command(0).URL
	sys := &system.System{Base: base, Command: strings.TrimPrefix(base, "http://"), Redis: redis.NewClient(opts)}
	t.Cleanup(func() { _ = sys.Redis.Close() })
	for i := range edges {
		sys.Edges = append(sys.Edges, netip.MustParseAddrPort(strings.TrimPrefix(running.Edge(i).URL, "http://")))
		sys.Servers = append(sys.Servers, meter.Process{Title: "edge", PID: os.Getpid()})
	}
	return sys
}

func TestEveryScenarioFindsNothingWrongWithASmallSystem(t *testing.T) {
	t.Parallel()
	for _, d := range follow.Dialects() {
		for _, s := range scenario.All() {
			if s.Name == "kill" || s.Name == "polling" {
				continue // they need processes
			}
			if slices.Contains([]string{"commands", "growth", "dialects"}, s.Name) && d.Name() != "native" {
				continue // it is not about how clients are connected
			}
			t.Run(d.Name()+"/"+s.Name, func(t *testing.T) {
				t.Parallel()
				p := scenario.Params{Clients: 20, Rooms: 4, Rates: []float64{50}, For: 200 * time.Millisecond, Slow: 2, Dialect: d, Callers: 4}
				result, err := s.Run(t.Context(), p, under(t, 2), t.Logf)
				if err != nil {
					t.Fatal(err)
				}
				var table bytes.Buffer
				result.Table(&table)
				if len(result.Broken) > 0 || len(result.Rows) == 0 {
					t.Errorf("%s", table.Bytes())
				}
			})
		}
	}
}

// Each stream is checked, in the process of the edge, so that the race detector sees several goroutines write one commit.
func TestClientsOfABigRoomAreServedByManyAtOnce(t *testing.T) {
	t.Parallel()
	room := scenario.All()[slices.IndexFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Name == "room" })]
	for _, d := range follow.Dialects() {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			p := scenario.Params{Clients: 600, Rates: []float64{50}, For: 500 * time.Millisecond, Dialect: d}
			result, err := room.Run(t.Context(), p, under(t, 1, "TALUS_WRITERS", "3"), t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			var table bytes.Buffer
			if result.Table(&table); len(result.Broken) > 0 {
				t.Errorf("%s", table.Bytes())
			}
		})
	}
}

// onProcesses runs a scenario on a command service, edges and a Redis that are processes of their own, with further settings.
func onProcesses(t *testing.T, edges int, name string, p scenario.Params, settings ...string) *report.Result {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		redistest.Missing(t, "this test needs a redis-server on PATH")
	}
	sys, err := system.Start(t.Context(), system.Shape{Edges: edges, Settings: settings, Warn: func(text string) { t.Log(text) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	s := scenario.All()[slices.IndexFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Name == name })]
	result, err := s.Run(t.Context(), p, sys, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	result.Table(&table)
	if t.Logf("%s", table.Bytes()); len(result.Broken) > 0 || len(result.Rows) == 0 {
		t.Error("broken")
	}
	return result
}

func TestAllComeBackToEdgesThatWereKilled(t *testing.T) {
	t.Parallel()
	onProcesses(t, 2, "kill", scenario.Params{Clients: 50, Rooms: 5})
}

func TestPollersThatLeaveLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const soon = "GOMEMLIMIT=16MiB" // gives memory back without waiting for the runtime's two minutes
	result := onProcesses(t, 1, "polling", scenario.Params{Clients: 50, For: time.Second}, soon)
	figure := map[string]float64{} // by row and name
	for _, row := range result.Rows {
		for _, f := range row.Figures {
			figure[row.Label+", "+f.Name] = f.Value
		}
	}
	for _, name := range []string{"goroutines", "RSS", "heap in use"} {
		if figure["before they came, "+name] <= 0 || figure["when they had all, "+name] <= 0 {
			t.Errorf("%s was not read: %v", name, figure)
		}
	}
	if with, before := figure["when they had all, RSS"], figure["before they came, RSS"]; with <= before {
		t.Errorf("%g bytes before, %g with 50 pending polls: they were not counted", before, with)
	}
}

func TestASetTakesWhatWasAskedForAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	own := scenario.Params{Clients: 7, Rooms: 3, Rates: []float64{5}}
	if got := (scenario.Params{Rooms: 4}).Over(own); got.Clients != 7 || got.Rooms != 4 || len(got.Rates) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestAScenarioEndsWithItsContext(t *testing.T) {
	t.Parallel()
	sys := under(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	say := func(format string, _ ...any) {
		if strings.Contains(format, "commits/s") {
			cancel()
		}
	}
	for _, s := range scenario.All() {
		if s.Name == "room" {
			if _, err := s.Run(ctx, scenario.Params{Clients: 5, For: time.Hour}, sys, say); err == nil {
				t.Error("no error")
			}
		}
	}
}
