package engineio

import (
	"slices"
	"time"
)

// Alarm is a call that is to come. A nil Alarm never comes.
type Alarm struct {
	session *Session
	at      time.Duration
	call    func()
}

// After has a function called when d has passed, unless the session has ended or the alarm is stopped before. The call
// comes with one of the session's next visits and must not block. It never comes, and the Alarm is nil, if d is not
// positive.
func (s *Session) After(d time.Duration, call func()) *Alarm {
	if d <= 0 {
		return nil
	}
	a := &Alarm{s, s.server.now() + d, call}
	s.mu.Lock()
	s.alarms = append(s.alarms, a)
	s.mu.Unlock()
	return a
}

// Stop takes the call back. If it is just being made it comes to its end.
func (a *Alarm) Stop() {
	if a == nil {
		return
	}
	s := a.session
	s.mu.Lock()
	s.alarms = slices.DeleteFunc(s.alarms, func(other *Alarm) bool { return other == a })
	s.mu.Unlock()
}

// ring makes the calls whose time has come.
func (s *Session) ring(now time.Duration) {
	var due []*Alarm
	s.mu.Lock()
	s.alarms = slices.DeleteFunc(s.alarms, func(a *Alarm) bool {
		if now < a.at {
			return false
		}
		due = append(due, a)
		return true
	})
	s.mu.Unlock()
	for _, a := range due {
		a.call()
	}
}
