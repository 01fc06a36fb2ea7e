package eventlog

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what happens to commits and what should not happen at all.
type metrics struct {
	commits       *prometheus.CounterVec // by result
	unpublished   prometheus.Counter
	undoTruncated prometheus.Counter
	resolved      *prometheus.CounterVec // by result
	torn          prometheus.Counter
	condemned     prometheus.Counter
	loadRetries   prometheus.Counter
	unlisted      prometheus.Counter
}

// newMetrics registers the counters. Several logs in one process share them.
func newMetrics(registry prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return registered(registry, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	vector := func(name, help string) *prometheus.CounterVec {
		return registered(registry, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"}))
	}
	return &metrics{
		commits:       vector("talus_commits_total", "Commits by result."),
		unpublished:   counter("talus_commit_unpublished_total", "Commits that are in the log but could not be published."),
		undoTruncated: counter("talus_undo_truncated_total", "Undo and redo entries dropped because the stacks were full."),
		resolved:      vector("talus_commit_resolved_total", "Commits whose answer was lost, by what was found out."),
		torn:          counter("talus_session_torn_total", "Answers given because the data of a session contradict each other."),
		condemned:     counter("talus_session_condemned_total", "Sessions closed for good because their data contradict each other."),
		unlisted:      counter("talus_project_unlisted_total", "Sessions that could not be listed under their project."),
		loadRetries:   counter("talus_load_retries_total", "Loads of a session that had to start again."),
	}
}

// registered is c, or the collector of the same name that the registry has already.
func registered[C prometheus.Collector](registry prometheus.Registerer, c C) C {
	if registry == nil {
		return c
	}
	var already prometheus.AlreadyRegisteredError
	if errors.As(registry.Register(c), &already) {
		if earlier, ok := already.ExistingCollector.(C); ok {
			return earlier
		}
	}
	return c
}
