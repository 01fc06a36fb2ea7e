//go:build linux

package scenario_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/load/scenario"
	"github.com/talus-tally/talus/tests/load/system"
)

// The streams of other people's server are checked like those of Talus, so it must deliver all to everybody.
func TestASocketIOServerIsPutUnderTheSameLoad(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"node", "npm", "redis-server"} {
		if _, err := exec.LookPath(program); err != nil {
			redistest.Missing(t, "this test needs "+program+" on PATH")
		}
	}
	sys, err := system.Start(t.Context(), system.Shape{Rival: "socketio", Warn: func(text string) { t.Log(text) }})
	if err != nil && strings.Contains(err.Error(), "npm ci") {
		redistest.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	for _, s := range scenario.All() {
		if s.Name != "room" && s.Name != "rooms" && s.Name != "idle" {
			continue // it is about what only Talus has
		}
		p := scenario.Params{Clients: 20, Rooms: 4, Rates: []float64{50}, For: 200 * time.Millisecond, Callers: 4, Dialect: sys.Dialect}
		result, err := s.Run(t.Context(), p, sys, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		var table bytes.Buffer
		if result.Table(&table); len(result.Broken) > 0 || len(result.Rows) == 0 {
			t.Errorf("%s", table.Bytes())
		}
	}
}

func TestWhatIsNoRivalIsRefused(t *testing.T) {
	t.Parallel()
	_, err := system.Start(t.Context(), system.Shape{Rival: "nobody"})
	if err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("error %v", err)
	}
}
