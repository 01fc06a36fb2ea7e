package check

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// ID names a check: C1 to C18.
type ID string

// Verdict is what a history proves.
type Verdict struct {
	Passed   bool     `json:"passed"` // every check that applies looked at enough and found nothing
	Run      string   `json:"run"`    // what the run says of itself: its seed and shape
	Lines    int      `json:"lines"`
	Sessions int      `json:"sessions"`
	Commits  int      `json:"commits"` // in the logs
	Acked    int      `json:"acked"`   // commands that were answered 2xx and committed something
	Received int      `json:"received"`
	Results  []Result `json:"results"`
}

// Result is what one check found.
type Result struct {
	ID         ID         `json:"id"`
	Title      string     `json:"title"`
	Guarantee  string     `json:"guarantee"` // the guarantee of architecture.md that it checks
	Looked     int        `json:"looked"`    // operations, commits or frames that it examined
	Minimum    int        `json:"minimum"`   // fewer than that prove nothing
	Passed     bool       `json:"passed"`
	Skipped    string     `json:"skipped,omitempty"` // why it does not apply; then it neither passed nor failed
	Violations int        `json:"violations"`
	First      *Violation `json:"first,omitempty"`
	Notes      []string   `json:"notes,omitempty"` // what was tolerated, and why
}

// Violation is one thing that must not be.
type Violation struct {
	Text     string   `json:"text"`
	Lines    []int    `json:"lines"`    // of the history
	Evidence []string `json:"evidence"` // those lines
}

// Result is the finding of one check; the zero Result if there is none of that name.
func (v Verdict) Result(id ID) Result {
	for _, r := range v.Results {
		if r.ID == id {
			return r
		}
	}
	return Result{}
}

// Failed are the checks that did not pass. A mutation run (C18) plants a bug and wants its check among them.
func (v Verdict) Failed() []ID {
	var ids []ID
	for _, r := range v.Results {
		if !r.Passed && r.Skipped == "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// Flagged reports whether one of the checks found a violation, which is more than having looked at too little.
func (v Verdict) Flagged(ids ...ID) bool {
	return slices.ContainsFunc(v.Results, func(r Result) bool {
		return r.Violations > 0 && (len(ids) == 0 || slices.Contains(ids, r.ID))
	})
}

// WriteTable writes the verdict for people: a row for each check, then what was found.
func (v Verdict) WriteTable(w io.Writer) error {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "check\tguarantee\tlooked at\tverdict\twhat")
	for _, r := range v.Results {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", r.ID, r.Guarantee, r.Looked, r.verdict(), r.Title)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&text, "\n%d sessions, %d commits, %d acknowledged, %d received; %d lines\n", v.Sessions, v.Commits, v.Acked, v.Received, v.Lines)
	if v.Run != "" {
		fmt.Fprintln(&text, v.Run)
	}
	for _, r := range v.Results {
		r.describe(&text)
	}
	word := "FAIL"
	if v.Passed {
		word = "PASS"
	}
	fmt.Fprintln(&text, word)
	_, err := io.WriteString(w, text.String())
	return err
}

func (r Result) verdict() string {
	switch {
	case r.Skipped != "":
		return "–"
	case r.Passed:
		return "pass"
	case r.Violations > 0:
		return fmt.Sprintf("FAIL (%d)", r.Violations)
	default:
		return "FAIL (too few)"
	}
}

// describe writes what there is to say beside the row.
func (r Result) describe(w io.Writer) {
	if r.Skipped != "" {
		fmt.Fprintf(w, "%s does not apply: %s\n", r.ID, r.Skipped)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "%s: %s\n", r.ID, note)
	}
	if r.First == nil && !r.Passed && r.Skipped == "" {
		fmt.Fprintf(w, "%s looked at %d, and fewer than %d prove nothing\n", r.ID, r.Looked, r.Minimum)
	}
	if r.First == nil {
		return
	}
	fmt.Fprintf(w, "\n%s, first of %d: %s\n", r.ID, r.Violations, r.First.Text)
	for i, text := range r.First.Evidence {
		fmt.Fprintf(w, "  line %d: %s\n", r.First.Lines[i], text)
	}
}
