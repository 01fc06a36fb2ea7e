// Package chaos_test runs some of the faults in every test run, so that neither they nor the checks fall behind what they
// are for. The whole list is for `make chaos`.
package chaos_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/chaos/fault"
	"github.com/talus-tally/talus/tests/chaos/topology"
)

// TALUS_TEST_FAULTS names other faults than the two that are quick.
func TestTheGuaranteesHoldWhileTheSystemIsBroken(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		redistest.Missing(t, "this test needs a redis-server on PATH")
	}
	names := os.Getenv("TALUS_TEST_FAULTS")
	if names == "" {
		names = "F4-kill,F10-kill"
	}
	faults, err := fault.Choose(names)
	if err != nil {
		t.Fatal(err)
	}
	binaries := t.TempDir()
	if err := topology.Build(t.Context(), binaries); err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		result, err := fault.Run(t.Context(), fault.Config{Fault: f, Seed: 1, Binaries: binaries, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(strings.TrimSpace(result.Row()))
		for _, text := range result.Failed {
			t.Errorf("%s: %s", f.ID, text)
		}
	}
}
