package native_test

import (
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/native"
)

func TestTheProtocolKeepsFewBytesOfAClient(t *testing.T) {
	t.Parallel()
	const most = 320
	sum := uintptr(0)
	for what, bytes := range native.Kept() {
		t.Logf("%4d  %s", bytes, what)
		sum += bytes
	}
	if sum > most {
		t.Errorf("%d bytes, more than %d", sum, most)
	}
}
