//go:build !linux

package drive

import "time"

// alarm wakes one goroutine at a time, with the runtime's timers.
type alarm struct{}

func newAlarm() alarm { return alarm{} }

func (alarm) close() {}

// wait returns at that moment, or up to a millisecond later.
func (alarm) wait(until time.Time) { time.Sleep(time.Until(until)) }
