package drive

import (
	"time"

	"golang.org/x/sys/unix"
)

// pause waits until a moment. The kernel's own sleep is late by its timer slack, 50 µs; the runtime's may be late by a
// millisecond, which would count as the server's.
func pause(until time.Time) {
	for left := time.Until(until); left > 0; left = time.Until(until) {
		wait := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&wait, nil) // an interrupted sleep goes on
	}
}
