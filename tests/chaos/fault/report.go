package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/talus-tally/talus/tests/chaos/check"
)

// Result is what came of one run.
type Result struct {
	Fault      string             `json:"fault"`
	Title      string             `json:"title"`
	Seed       uint64             `json:"seed"`
	Passed     bool               `json:"passed"`
	Skipped    string             `json:"skipped,omitempty"` // what is missing on this machine
	Loses      bool               `json:"loses"`             // Redis lost data, which had to be detected
	Seconds    float64            `json:"seconds"`
	Operations int                `json:"operations"` // acknowledged
	Commits    int                `json:"commits"`
	Received   int                `json:"received"` // commit frames
	Lost       int                `json:"lost"`
	Duplicated int                `json:"duplicated"`
	Reordered  int                `json:"reordered"`
	Leaked     int                `json:"leaked"`
	Other      int                `json:"other"`   // violations of the other checks
	Current    []float64          `json:"current"` // seconds from each heal until all clients were current; -1: never
	Peak       map[string]float64 `json:"peak"`    // the most that an instance used while something was broken
	Failed     []string           `json:"failed,omitempty"`
	Notes      []string           `json:"notes,omitempty"`
	Verdict    check.Verdict      `json:"verdict"`
}

// harmFloor is a p99 below which neighbours are not harmed: people, services and Redis share a few cores here.
const harmFloor = 500 * time.Millisecond

// bounds are those of the checks in this run. A fault that leaves no session leaves little to look at.
func (d *driver) bounds() check.Config {
	f := d.cfg.Fault
	bounds := check.Config{Floor: harmFloor, Minimum: check.Minimums()}
	if f.Shape.Settings["TALUS_UNDO_DEPTH"] != "" {
		bounds.UndoDepth = undoDepth
	}
	if f.Erases {
		bounds.Minimum[check.ForkEvidence] = 0 // whoever is gone is on no branch
	}
	if f.Erases && f.Aims == 0 {
		for id := range bounds.Minimum {
			bounds.Minimum[id] = 0
		}
		bounds.Minimum[check.Stream], bounds.Minimum[check.Isolation] = 100, 100
	}
	return bounds
}

// judge notes what the checker does not know of: that this fault must not cost a connection, or must cost all of them.
func (d *driver) judge(came came) {
	f := d.cfg.Fault
	if f.Keeps && len(came.ended) > 0 {
		d.scene.Wrong("%d clients lost their connections, first: %s", len(came.ended), came.ended[0])
	}
	if !f.Erases {
		return
	}
	erased := d.scene.Aimed
	if f.Aims == 0 {
		erased = d.scene.Sessions
	}
	for _, session := range erased {
		if left := came.clients[session]; len(left) > 0 {
			d.scene.Wrong("session %s is gone, and %d of its clients were not sent away, such as %s", session, len(left), left[0])
		}
	}
}

// fill takes the findings of a run over.
func (r *Result) fill(v check.Verdict, current []time.Duration, s *Scene, peak map[string]float64) {
	r.Verdict, r.Peak, r.Notes = v, peak, s.notes
	r.Operations, r.Commits, r.Received = v.Acked, v.Commits, v.Received
	for _, took := range current {
		r.Current = append(r.Current, max(-1, took.Seconds()))
	}
	for _, result := range v.Results {
		switch result.ID {
		case check.Contiguous, check.Acks, check.Convergence:
			r.Lost += result.Violations
		case check.Idempotency:
			r.Duplicated += result.Violations
		case check.RealTime, check.CAS, check.Stream, check.Content:
			r.Reordered += result.Violations
		case check.Isolation:
			r.Leaked += result.Violations
		default:
			r.Other += result.Violations
		}
		if result.First != nil {
			r.Failed = append(r.Failed, fmt.Sprintf("%s: %s (first of %d)", result.ID, result.First.Text, result.Violations))
		} else if !result.Passed && result.Skipped == "" {
			r.Failed = append(r.Failed, fmt.Sprintf("%s looked at %d only, and fewer than %d prove nothing", result.ID, result.Looked, result.Minimum))
		}
	}
	r.Failed = append(r.Failed, s.wrong...)
	r.Passed = len(r.Failed) == 0
}

func (r Result) verdict() string {
	switch {
	case r.Skipped != "":
		return "not run: " + r.Skipped
	case !r.Passed:
		return "**FAIL**"
	case r.Loses:
		return "pass (loss detected)"
	default:
		return "pass"
	}
}

// current is the time until all were current, after the slowest heal.
func (r Result) current() string {
	if len(r.Current) == 0 {
		return "–"
	}
	slowest := 0.0
	for _, s := range r.Current {
		if s < 0 {
			return "never"
		}
		slowest = max(slowest, s)
	}
	return fmt.Sprintf("%.1f", slowest)
}

// Header begins the table of results, in Markdown.
const Header = `| fault | seed | what | operations | commits | received | lost | duplicated | reordered | leaked | other | s to current | goroutines ≤ | verdict |
|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|
`

// Row is the line of the table for one run, and what failed below the table.
func (r Result) Row() string {
	return fmt.Sprintf("| %s | %d | %s | %d | %d | %d | %d | %d | %d | %d | %d | %s | %.0f | %s |\n", r.Fault, r.Seed, r.Title, r.Operations, r.Commits, r.Received,
		r.Lost, r.Duplicated, r.Reordered, r.Leaked, r.Other, r.current(), r.Peak["go_goroutines"], r.verdict())
}

// Legend explains the columns.
const Legend = `
*Operations* were acknowledged, *commits* are in the logs, *received* are commit frames over all clients. Violations of the
checker: *lost* C1, C2, C9; *duplicated* C3; *reordered* C4–C7; *leaked* C8; *other* C10–C17. *s to current*: from the end
of the fault until the last client had all that was acknowledged before it.
`

// Write writes results.json and results.md into a directory.
func Write(dir string, results []Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	var table strings.Builder
	writeTable(&table, results)
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "results.json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "results.md"), []byte(table.String()), 0o644))
}

func writeTable(w io.Writer, results []Result) {
	fmt.Fprint(w, Header)
	for _, r := range results {
		fmt.Fprint(w, r.Row())
	}
	fmt.Fprint(w, Legend)
	for _, r := range results {
		for _, text := range r.Failed {
			fmt.Fprintf(w, "\n* %s, seed %d: %s", r.Fault, r.Seed, text)
		}
	}
	fmt.Fprintln(w)
}
