// Package mutant proves that the checker works (C18 of the reliability page): it runs a Talus with a bug planted, while
// people use it, and wants the checker to find it.
//
// It promises that each bug of package planted has a run, in circumstances in which it can show, and that a Talus which was
// built in the same way and has no bug passes such a run.
package mutant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/chaos/fault"
)

// Tag is the build tag with which the services must be built.
const Tag = "planted"

// Mutant is a bug and the circumstances in which it shows.
type Mutant struct {
	Bug   planted.Bug
	What  string                                                // the code does wrong
	Fault string                                                // of the list, meanwhile; empty: nothing is broken, or Loss
	Loss  func(context.Context, *fault.Scene, fault.Heal) error // what goes on around a loss of the last moment
}

// Sound is a Talus without a bug.
func Sound() Mutant { return Mutant{What: "nothing: no bug is planted"} }

// All has a mutant for each bug.
func All() []Mutant {
	return []Mutant{
		{Bug: planted.DropFrame, What: "counts a commit as sent that is not"},
		{Bug: planted.DuplicateFrame, What: "sends a commit and does not count it"},
		{Bug: planted.SwapFrames, What: "sends two commits in the wrong order"},
		{Bug: planted.SkipGapFill, What: "lets a client that is far behind go on at the head", Fault: "F20"},
		{Bug: planted.CrossWire, What: "sends a session's commit to the clients of others"},
		{Bug: planted.KeepRedo, What: "keeps the redo stack after a command"},
		{Bug: planted.PublishOnly, What: "publishes and acknowledges without appending"},
		{Bug: planted.ResumeLater, What: "resumes one version too late"},
		{Bug: planted.IgnoreDigest, What: "resumes by version, whatever the digest", Loss: edgesAway},
		{Bug: planted.KeyAfterDecision, What: "looks at the idempotency key after deciding", Fault: "F4-kill"},
		{Bug: planted.PrevUnchecked, What: "catches up without comparing digests", Loss: commandAway},
		{Bug: planted.CursorOnFull, What: "counts a commit as sent when the socket is full", Fault: "F13-narrow"},
		{Bug: planted.StaleReads, What: "answers from memory without looking at the head"},
		{Bug: planted.IgnoreIfMatch, What: "ignores If-Match"},
		{Bug: planted.GhostClients, What: "does not count out who leaves"},
		{Bug: planted.ForkUnnoticed, What: "tells nobody that their branch is gone", Fault: "F8"},
	}
}

// Choose picks mutants: "all", or names of bugs with commas.
func Choose(names string) ([]Mutant, error) {
	if names == "all" {
		return All(), nil
	}
	var chosen []Mutant
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(All(), func(m Mutant) bool { return string(m.Bug) == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no bug %q", name)
		}
		chosen = append(chosen, All()[i])
	}
	return chosen, nil
}

// fault is what happens meanwhile, with the bug in the environment of the services.
func (m Mutant) fault() (fault.Fault, error) {
	f := fault.Fault{ID: "none", Title: "nothing", Hold: 3 * time.Second, Inject: nothing}
	switch {
	case m.Loss != nil:
		f = moment("the last moment lost", m.Loss)
	case m.Fault != "":
		chosen, err := fault.Choose(m.Fault)
		if err != nil {
			return f, err
		}
		f = chosen[0]
	}
	settings := map[string]string{"PLANTED_BUG": string(m.Bug)}
	maps.Copy(settings, f.Shape.Settings)
	f.Shape.Settings = settings
	return f, nil
}

func nothing(context.Context, *fault.Scene) (fault.Heal, error) {
	return func(context.Context) error { return nil }, nil
}

// Outcome is what the checker said of a mutant.
type Outcome struct {
	Mutant
	Flagged []check.ID // the checks that found a violation
	First   string     // violation of the first of them, in words
	Result  fault.Result
}

// Run runs a mutant; the configuration's fault is replaced by the mutant's.
func (m Mutant) Run(ctx context.Context, cfg fault.Config) (Outcome, error) {
	f, err := m.fault()
	if err != nil {
		return Outcome{}, err
	}
	cfg.Fault = f
	r, err := fault.Run(ctx, cfg)
	o := Outcome{Mutant: m, Result: r}
	for _, c := range r.Verdict.Results {
		if c.Violations == 0 {
			continue
		}
		if o.Flagged = append(o.Flagged, c.ID); o.First == "" {
			o.First = c.First.Text
		}
	}
	return o, err
}

// Right reports whether the checker said what it should: nothing of a sound Talus, something of a mutant.
func (o Outcome) Right() bool {
	if o.Bug == "" {
		return o.Result.Passed
	}
	return len(o.Flagged) > 0
}

// Header begins the table of outcomes, in Markdown.
const Header = `| bug | what the code does wrong | broken meanwhile | found by | first violation |
|---|---|---|---|---|
`

// Row is the line of the table for one outcome.
func (o Outcome) Row() string {
	ids := make([]string, len(o.Flagged))
	for i, id := range o.Flagged {
		ids[i] = string(id)
	}
	found, first := strings.Join(ids, " "), o.First
	switch {
	case o.Bug == "" && o.Result.Passed:
		found = "nobody, rightly"
	case o.Bug == "":
		first = strings.Join(o.Result.Failed, "; ")
	case len(o.Flagged) == 0:
		found = "**NOBODY**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", o.Bug, o.What, o.Result.Title, found, first)
}
