// Package check says whether a deployment kept its guarantees, from nothing but a history: what clients asked, were told
// and saw, and what is in the logs. It is the checker of the reliability page; each check names the guarantee G1–G9 of
// the architecture page that it proves or refutes.
//
// It promises that every violation it reports is one (what a fault excuses is tolerated and noted), and that a run which
// looked at too little fails. It does not promise to find a bug that no client of the run could have noticed, and it
// knows nothing of the deployment: no addresses, no Redis.
//
// It reads the history twice, first the logs and the requests, then the streams, and keeps the first in memory: about
// 1 KB for each commit and half of that for each request.
package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/talus-tally/talus/tests/chaos/history"
)

// The checks.
const (
	Contiguous   ID = "C1"
	Acks         ID = "C2"
	Idempotency  ID = "C3"
	RealTime     ID = "C4"
	CAS          ID = "C5"
	Stream       ID = "C6"
	Content      ID = "C7"
	Isolation    ID = "C8"
	Convergence  ID = "C9"
	Integrity    ID = "C10"
	UndoModel    ID = "C11"
	Reads        ID = "C12"
	Presence     ID = "C13"
	Permissions  ID = "C14"
	Liveness     ID = "C15"
	Neighbours   ID = "C16"
	ForkEvidence ID = "C17"
	MutationRun  ID = "C18"
)

// Config are the bounds of the checks. The zero value of a field means its default.
type Config struct {
	Minimum   map[ID]int    // how much a check must look at; what is missing here is taken from Minimums
	Current   time.Duration // within which all are current after a heal, and off a dead branch after a loss; default 10 s
	UndoDepth int           // entries on the undo stack, as the deployment is configured; default 200
	Resources float64       // by what factor a resource may stay above its base; default 1.5, and a fixed slack
	Harm      float64       // by what factor the p99 of healthy sessions may rise in a fault; default 2
	Floor     time.Duration // a p99 below it is never harm; default 20 ms
}

// Minimums is how much each check must look at by default: what a run of some seconds easily gives.
func Minimums() map[ID]int {
	return map[ID]int{
		Contiguous: 100, Acks: 100, Idempotency: 20, RealTime: 100, CAS: 10, Stream: 500, Content: 500, Isolation: 500,
		Convergence: 500, Integrity: 100, UndoModel: 20, Reads: 20, Presence: 1, Liveness: 1, ForkEvidence: 1,
	}
}

func (c Config) withDefaults() Config {
	c.Current = cmp.Or(c.Current, 10*time.Second)
	c.UndoDepth = cmp.Or(c.UndoDepth, 200)
	c.Resources = cmp.Or(c.Resources, 1.5)
	c.Harm = cmp.Or(c.Harm, 2)
	c.Floor = cmp.Or(c.Floor, 20*time.Millisecond)
	minimum := Minimums()
	for id, n := range c.Minimum {
		minimum[id] = n
	}
	c.Minimum = minimum
	return c
}

// Run checks a history. The error is that of reading it; a history that can be read has a verdict.
func Run(cfg Config, h history.Source) (Verdict, error) {
	r := &run{cfg: cfg.withDefaults(), sessions: map[string]*session{}, ops: map[string]*op{}, found: findings()}
	for number, e := range h.Lines() {
		if e.Err != nil {
			return Verdict{}, fmt.Errorf("check: %w", e.Err)
		}
		r.gather(number, e.Line)
	}
	r.foldLogs()
	streams := newStreams(r)
	for number, e := range h.Lines() {
		if e.Err != nil {
			return Verdict{}, fmt.Errorf("check: %w", e.Err)
		}
		streams.take(number, e.Line)
	}
	streams.end()
	r.checkOps()
	r.checkOrder()
	r.checkReads()
	r.checkUndo()
	r.checkResources()
	r.checkHarm(streams.lags)
	v := r.verdict()
	return v, r.quote(&v, h)
}

// run is a check in progress.
type run struct {
	cfg      Config
	found    map[ID]*Result
	sessions map[string]*session
	ops      map[string]*op // by actor, which is what the log keeps of an operation
	marks    []mark         // in the order of time
	usage    []usage
	about    string // the run, as it describes itself
	lines    int
	last     int64 // time of the last line
	received int
}

// mark is a moment of the run.
type mark struct {
	line     int
	t        int64
	name     string
	text     string
	sessions []string // none: all
}

func (m mark) concerns(session string) bool {
	return len(m.sessions) == 0 || slices.Contains(m.sessions, session)
}

func findings() map[ID]*Result {
	found := map[ID]*Result{}
	for _, r := range []Result{
		{ID: Contiguous, Guarantee: "G1", Title: "the log has every version once, along one chain"},
		{ID: Acks, Guarantee: "G2", Title: "what was answered 2xx is in the log once, where the answer says; what was refused is not"},
		{ID: Idempotency, Guarantee: "G2", Title: "a repeated request happens once and gets the same answer"},
		{ID: RealTime, Guarantee: "G1", Title: "what began after something had ended has a later version"},
		{ID: CAS, Guarantee: "G1", Title: "If-Match commits right after the state it names, or somebody else had"},
		{ID: Stream, Guarantee: "G3", Title: "a connection sees steps of exactly one, or is told to resync"},
		{ID: Content, Guarantee: "G1", Title: "what was received is what is in the log"},
		{ID: Isolation, Guarantee: "G5", Title: "nothing of a session reaches another one"},
		{ID: Convergence, Guarantee: "G4", Title: "clients, answers and the log have the same graph at every version"},
		{ID: Integrity, Guarantee: "G6", Title: "the graph is sound at every version"},
		{ID: UndoModel, Guarantee: "G7", Title: "undo and redo act on what the model says, and give back the graph that was"},
		{ID: Reads, Guarantee: "G2", Title: "no answer is older than what was known when it was asked for"},
		{ID: Presence, Guarantee: "G9", Title: "clients are counted right at rest, and announced once"},
		{ID: Permissions, Guarantee: "–", Title: "nobody sees or does what is not permitted", Skipped: "there are no tokens yet"},
		{ID: Liveness, Guarantee: "G9", Title: "all are current soon after a heal, and resources return to where they were"},
		{ID: Neighbours, Guarantee: "G9", Title: "a fault aimed at some sessions does not slow the others"},
		{ID: ForkEvidence, Guarantee: "G8", Title: "nobody stays on a branch that did not survive"},
		{ID: MutationRun, Guarantee: "–", Title: "the checks find planted bugs", Skipped: "a run of its own: plant a bug, check its history, ask Flagged"},
	} {
		found[r.ID] = &r
	}
	return found
}

// looked counts something that a check has examined.
func (r *run) looked(id ID) { r.found[id].Looked++ }

// violates reports what must not be. The lines are those of the history that show it, 0 for none. The first violation is
// the one whose first line is.
func (r *run) violates(id ID, lines []int, format string, args ...any) {
	f := r.found[id]
	f.Violations++
	lines = slices.DeleteFunc(slices.Clone(lines), func(n int) bool { return n == 0 })
	slices.Sort(lines)
	v := Violation{Text: fmt.Sprintf(format, args...), Lines: slices.Compact(lines)}
	if f.First == nil || cmp.Or(slices.Compare(v.Lines, f.First.Lines), cmp.Compare(v.Text, f.First.Text)) < 0 {
		f.First = &v
	}
}

// at are the numbers of lines that show a violation.
func at(lines ...int) []int { return lines }

func (r *run) note(id ID, format string, args ...any) {
	r.found[id].Notes = append(r.found[id].Notes, fmt.Sprintf(format, args...))
}

func (r *run) verdict() Verdict {
	v := Verdict{Passed: true, Run: r.about, Lines: r.lines, Sessions: len(r.sessions), Received: r.received}
	for _, s := range r.sessions {
		v.Commits += len(s.log)
	}
	for _, o := range r.ops {
		if o.committed() != nil {
			v.Acked++
		}
	}
	if !slices.ContainsFunc(r.marks, func(m mark) bool { return m.name == history.Loss }) {
		r.found[ForkEvidence].Skipped = "no data was lost"
	}
	for n := 1; n <= 18; n++ {
		f := r.found[ID(fmt.Sprintf("C%d", n))]
		f.Minimum = r.cfg.Minimum[f.ID]
		f.Passed = f.Skipped == "" && f.Violations == 0 && f.Looked >= f.Minimum
		v.Passed = v.Passed && (f.Passed || f.Skipped != "")
		v.Results = append(v.Results, *f)
	}
	return v
}

// quote puts the lines into the violations that name them.
func (r *run) quote(v *Verdict, h history.Source) error {
	const most = 700 // bytes of a line that are shown
	wanted := map[int]string{}
	for _, f := range v.Results {
		if f.First != nil {
			for _, n := range f.First.Lines {
				wanted[n] = ""
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	for number, e := range h.Lines() {
		if e.Err != nil {
			return fmt.Errorf("check: %w", e.Err)
		}
		if _, ok := wanted[number]; ok {
			text, err := json.Marshal(e.Line)
			if err != nil {
				return fmt.Errorf("check: line %d: %w", number, err)
			}
			wanted[number] = string(text[:min(len(text), most)])
		}
	}
	for i := range v.Results {
		if f := v.Results[i].First; f != nil {
			for _, n := range f.Lines {
				f.Evidence = append(f.Evidence, wanted[n])
			}
		}
	}
	return nil
}
