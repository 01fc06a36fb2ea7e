package drive

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes one goroutine at a time. It is a timer of the kernel that the runtime waits for as it waits for sockets: the
// runtime's own timers may be late by a millisecond, and a sleep in the kernel holds one of the few threads that run
// goroutines, so that all others are late; both would count as the server's.
type alarm struct {
	fd   int
	file *os.File // nil: there is none
}

func newAlarm() alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return alarm{} // the runtime's timers will do
	}
	return alarm{fd, os.NewFile(uintptr(fd), "timerfd")}
}

func (a alarm) close() {
	if a.file != nil {
		_ = a.file.Close()
	}
}

// wait returns at that moment.
func (a alarm) wait(until time.Time) {
	left := time.Until(until)
	if left <= 0 {
		return
	}
	if a.file != nil {
		setting := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(left))}
		var expired [8]byte
		if unix.TimerfdSettime(a.fd, 0, &setting, nil) == nil {
			_, _ = a.file.Read(expired[:]) // the rest, if any, is slept
		}
	}
	time.Sleep(time.Until(until))
}
