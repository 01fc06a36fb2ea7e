//go:build !linux

package drive

import "time"

func pause(until time.Time) { time.Sleep(time.Until(until)) }
