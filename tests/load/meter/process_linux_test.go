package meter_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/talus-tally/talus/tests/load/meter"
)

func TestAProcessTellsWhatItUses(t *testing.T) {
	t.Parallel()
	us := meter.Process{Title: "us", PID: os.Getpid()}
	before, err := us.Read(t.Context())
	if err != nil || before.RSS < 1<<20 || before.Files < 3 {
		t.Fatalf("%+v, %v", before, err)
	}
	ballast := make([]byte, 32<<20)
	for i := range ballast {
		ballast[i] = byte(i)
	}
	after, err := us.Read(t.Context())
	runtime.KeepAlive(ballast)
	if err != nil || after.RSS-before.RSS < 24<<20 || after.CPU < before.CPU {
		t.Errorf("%+v, then %+v, %v", before, after, err)
	}
	if _, err := (meter.Process{Title: "nobody", PID: 1 << 30}).Read(t.Context()); err == nil {
		t.Error("a process that is not there")
	}
}
