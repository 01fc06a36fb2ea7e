package check

import (
	"slices"
	"time"

	"github.com/talus-tally/talus/tests/chaos/history"
)

// window is a fault that was aimed at some sessions.
type window struct {
	begin, end mark
	answers    []time.Duration // of the other sessions, while it lasted
	deliveries []time.Duration
}

// lags are times between asking and getting, in windows and before the first fault of any kind.
type lags struct {
	from, to int64 // the undisturbed time
	windows  []*window
	base     window
}

const samples = 200_000 // of each kind that are kept

func newLags(r *run) *lags {
	l := &lags{to: never}
	for i, m := range r.marks {
		switch m.name {
		case history.Start:
			l.from = m.t
		case history.FaultBegin:
			l.to = min(l.to, m.t)
			if len(m.sessions) == 0 {
				continue
			}
			end := mark{t: r.last}
			if e := slices.IndexFunc(r.marks[i:], func(e mark) bool { return e.name == history.FaultEnd && e.text == m.text }); e >= 0 {
				end = r.marks[i+e]
			}
			l.windows = append(l.windows, &window{begin: m, end: end})
		}
	}
	return l
}

// in calls add for each time that a moment of a session belongs to.
func (l *lags) in(session string, t int64, add func(*window)) {
	if t >= l.from && t < l.to {
		add(&l.base)
	}
	for _, w := range l.windows {
		if t >= w.begin.t && t < w.end.t && !w.begin.concerns(session) {
			add(w)
		}
	}
}

// delivered notes how long a commit took from being asked for to a client.
func (l *lags) delivered(s *session, e *entry, t int64) {
	if e.begun == 0 || len(l.windows) == 0 {
		return
	}
	l.in(s.id, e.begun, func(w *window) {
		if len(w.deliveries) < samples {
			w.deliveries = append(w.deliveries, time.Duration(t-e.begun))
		}
	})
}

// checkHarm compares how long healthy sessions waited during a fault with how long they waited before (C16).
func (r *run) checkHarm(l *lags) {
	if len(l.windows) == 0 {
		r.found[Neighbours].Skipped = "no fault was aimed at some sessions only"
		return
	}
	for _, o := range r.ops {
		if done := o.committed(); done != nil {
			l.in(o.session, done.begin, func(w *window) {
				if len(w.answers) < samples {
					w.answers = append(w.answers, time.Duration(done.end-done.begin))
				}
			})
		}
	}
	for _, w := range l.windows {
		r.harm(w, "answers", l.base.answers, w.answers)
		r.harm(w, "deliveries", l.base.deliveries, w.deliveries)
	}
}

func (r *run) harm(w *window, what string, base, now []time.Duration) {
	const enough = 100
	if len(base) < enough || len(now) < enough {
		r.note(Neighbours, "%s in %q: %d before and %d during it are too few to compare", what, w.begin.text, len(base), len(now))
		return
	}
	r.found[Neighbours].Looked += len(now)
	before, during := p99(base), p99(now)
	r.note(Neighbours, "%s of the others in %q: p99 %v, before %v", what, w.begin.text, during, before)
	if during > r.cfg.Floor && float64(during) > r.cfg.Harm*float64(before) {
		r.violates(Neighbours, at(w.begin.line, w.end.line), "%q slowed the %s of sessions that it was not aimed at: p99 %v, before %v", w.begin.text, what, during, before)
	}
}

func p99(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)*99/100]
}
