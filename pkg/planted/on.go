//go:build planted

package planted

import (
	"os"
	"strings"
	"sync/atomic"
)

var (
	chosen = Bug(os.Getenv("PLANTED_BUG"))
	asked  atomic.Uint64
)

// Is reports whether this process has the bug.
func Is(b Bug) bool { return b == chosen }

// Sometimes is Is, once in a while.
func Sometimes(b Bug) bool { return b == chosen && asked.Add(1)%20 == 0 }

// edits are the bugs that stand in scripts.
var edits = map[Bug]struct{ right, wrong string }{
	KeepRedo: {"elseif redos > 0 then", "elseif false then"},
	PublishOnly: {"-- Phase B: append.", `if #messages == 0 and not refusal and number % 20 == 0 then
    redis.call('PUBLISH', ARGV[3], record)
    return {1, 1, 0}
  end`},
}

// Script is the text of a Redis script with the bug that this process has, if that is one of the script. It panics if the
// script has changed so that the bug has no place any more.
func Script(text string) string {
	e, ok := edits[chosen]
	if !ok {
		return text
	}
	if strings.Count(text, e.right) != 1 {
		panic("planted: no place for " + string(chosen))
	}
	return strings.Replace(text, e.right, e.wrong, 1)
}
