// Package planted has the bugs that the checker of tests/chaos must find. Where one is planted, the code asks whether this
// process was told to have it.
//
// It promises that a program which was built without the tag "planted" has none of them: the answer is a constant, and what
// hangs on it is not compiled. With the tag, PLANTED_BUG names the one bug that the process has.
package planted

// Bug names a mistake.
type Bug string

// The bugs, by what the code does wrong.
const (
	DropFrame        Bug = "drop-frame"         // a commit counts as sent to a client, and is not
	DuplicateFrame   Bug = "duplicate-frame"    // a commit is sent to a client and does not count as sent
	SwapFrames       Bug = "swap-frames"        // two commits change places
	SkipGapFill      Bug = "skip-gap-fill"      // a client that is too far behind goes on at the head
	CrossWire        Bug = "cross-wire"         // what one session's clients get goes to another's, too
	KeepRedo         Bug = "keep-redo"          // a command leaves the redo stack as it is
	PublishOnly      Bug = "publish-only"       // a commit is published and acknowledged, and not in the log
	ResumeLater      Bug = "resume-later"       // who comes back misses the first commit
	IgnoreDigest     Bug = "ignore-digest"      // who comes back from a dead branch goes on at its version
	KeyAfterDecision Bug = "key-after-decision" // a repeat that would be refused now is refused, whatever the first was told
	PrevUnchecked    Bug = "prev-unchecked"     // a writer that catches up trusts versions
	CursorOnFull     Bug = "cursor-on-full"     // a commit counts as sent when the socket is full
	StaleReads       Bug = "stale-reads"        // answers come from memory, however old it is
	IgnoreIfMatch    Bug = "ignore-if-match"    // a command is carried out on any state
	GhostClients     Bug = "ghost-clients"      // who leaves is counted on
	ForkUnnoticed    Bug = "fork-unnoticed"     // clients are not told that their branch did not survive
)

// All are the bugs in the order of their list.
func All() []Bug {
	return []Bug{
		DropFrame, DuplicateFrame, SwapFrames, SkipGapFill, CrossWire, KeepRedo, PublishOnly, ResumeLater, IgnoreDigest,
		KeyAfterDecision, PrevUnchecked, CursorOnFull, StaleReads, IgnoreIfMatch, GhostClients, ForkUnnoticed,
	}
}
