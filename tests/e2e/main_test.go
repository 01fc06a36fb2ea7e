// Package e2e_test specifies what users of a running Talus see: commands in over REST, commits out to every client, on
// any number of instances.
package e2e_test

import (
	"os"
	"testing"

	"github.com/talus-tally/talus/tests/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.RemoveBinaries()
	os.Exit(code)
}
