package workload

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/talus-tally/talus/tests/chaos/history"
)

func (w *workload) all(ok func(*client) bool) bool {
	for _, c := range w.clients {
		if !ok(c) {
			return false
		}
	}
	return true
}

// settle waits until everybody is current and records what everybody holds.
func (w *workload) settle(ctx context.Context) {
	heads := map[*session]uint64{}
	for i, s := range w.sessions {
		q := request{session: s, f: history.Get, path: "/sessions/" + s.id + "/info", node: w.Commands[i%len(w.Commands)]}
		heads[s] = w.read(ctx, &q, nil).position.Version
	}
	w.await(ctx, w.Patience, func() bool {
		return w.all(func(c *client) bool { return c.current(heads[c.session]) })
	})
	w.Recorder.Mark(history.AtRest, "")
	for _, c := range w.clients {
		if l, there := c.rest(); there {
			w.Recorder.Record(l)
		}
	}
	for i, s := range w.sessions {
		w.readGraph(ctx, &request{session: s, node: w.Commands[i%len(w.Commands)]}, nil)
		w.readState(ctx, &request{session: s, node: w.Commands[(i+1)%len(w.Commands)]})
	}
	w.counts(ctx, false)
}

// counts waits until the clients are counted right and records how they are counted: by the sessions, and by what each
// client was told last. After the end there are none.
func (w *workload) counts(ctx context.Context, ended bool) {
	var lines []history.Line
	w.await(ctx, w.Presence, func() bool {
		lines = lines[:0]
		right := true
		for i, s := range w.sessions {
			list, ok := w.count(ctx, s, w.Commands[i%len(w.Commands)], ended)
			lines = append(lines, list...)
			right = right && ok
		}
		return right || !pause(ctx, 100*time.Millisecond)
	})
	for _, l := range lines {
		w.Recorder.Record(l)
	}
}

func (w *workload) count(ctx context.Context, s *session, node string, ended bool) ([]history.Line, bool) {
	status, _, body, err := w.exchange(ctx, node, http.MethodGet, "/sessions/"+s.id+"/info", nil, nil)
	a := w.understand(status, nil, body, err)
	if a.kind != history.OK {
		return nil, a.kind == history.Fail // a session that is gone has nobody
	}
	total := history.Line{Kind: history.OK, F: history.Presence, Session: s.id, Node: node, Count: a.fields.ActiveClients}
	lines := []history.Line{}
	for _, c := range w.clients {
		c.mu.Lock()
		if c.session == s && c.joined {
			total.Live++
		}
		if c.session == s && c.joined && c.told && !ended {
			lines = append(lines, history.Line{Kind: history.OK, F: history.Presence, Session: s.id, Client: c.name, Conn: c.name, Count: c.count})
		}
		c.mu.Unlock()
	}
	right := total.Count == total.Live
	for i := range lines {
		lines[i].Live = total.Live
		right = right && lines[i].Count == total.Live
	}
	return append(lines, total), right
}

// usage records what each instance uses, as far as it tells, and returns it.
func (w *workload) usage(ctx context.Context, when string) map[string]map[string]float64 {
	all := w.figures(ctx)
	for node, figures := range all {
		w.Recorder.Record(history.Line{Kind: history.Note, F: history.Usage, Node: node, Mark: when, Figures: figures})
	}
	return all
}

// usageAtEnd gives the instances time to let go of what the run took: rooms and workers are kept for a while on purpose.
func (w *workload) usageAtEnd(ctx context.Context, base map[string]map[string]float64) {
	w.await(ctx, w.Release, func() bool {
		for node, figures := range w.figures(ctx) {
			for _, name := range []string{"go_goroutines", "process_open_fds"} {
				if was, ok := base[node][name]; ok && figures[name] > 1.5*was+50 { // as much as the check allows
					return !pause(ctx, 500*time.Millisecond)
				}
			}
		}
		return true
	})
	w.usage(ctx, history.Stop)
}

// figures reads the metrics of all instances.
func (w *workload) figures(ctx context.Context) map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	for _, node := range append(append([]string(nil), w.Commands...), w.Edges...) {
		if figures := w.metrics(ctx, node); len(figures) > 0 {
			all[node] = figures
		}
	}
	return all
}

func (w *workload) metrics(ctx context.Context, node string) map[string]float64 {
	status, _, body, err := w.fetch(ctx, http.MethodGet, strings.TrimSuffix(node, "/")+"/metrics", nil, nil)
	if err != nil || status != http.StatusOK {
		return nil // a proxy need not show them
	}
	figures := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "go_goroutines", "process_open_fds", "process_resident_memory_bytes", "go_memstats_heap_inuse_bytes":
			if f, err := strconv.ParseFloat(value, 64); err == nil {
				figures[name] = f
			}
		}
	}
	return figures
}
