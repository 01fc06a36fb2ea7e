package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// maxWhy bounds in bytes what is kept of the reason why a session was condemned.
const maxWhy = 256

// Condemn closes a session that is torn, for good: it is told so to everybody who reads its head, commits to it or loads it,
// and only Delete still works. Commit and Load do it by themselves when they find one. Condemned reports whether the session
// was still open. It returns ErrNoSession or ErrUnavailable.
func (l *Log) Condemn(ctx context.Context, session uuid.UUID, why string) (condemned bool, err error) {
	k := keysOf(session)
	why = strings.ToValidUTF8(why[:min(len(why), maxWhy)], "")
	n, err := l.runScript(ctx, condemnScript, []string{k.head(), k.dead()}, why)
	if n == 1 {
		l.metrics.condemned.Inc()
	}
	return n == 1, l.subject(session, err)
}

// condemnIf condemns the session that err proves to be torn. Where that fails (the head itself may be of a wrong type), the
// next who comes finds what this one found.
func (l *Log) condemnIf(ctx context.Context, session uuid.UUID, err error) {
	if errors.Is(err, ErrTorn) && !errors.Is(err, errCondemned) {
		_, _ = l.Condemn(ctx, session, err.Error())
	}
}

// errCondemned says that the session was condemned before.
var errCondemned = fmt.Errorf("%w: closed", ErrTorn)

// open tells from the head's field whether the session was condemned.
func open(why any) error {
	if text, ok := why.(string); ok && text != "" {
		return fmt.Errorf("%w: %s", errCondemned, text)
	}
	return nil
}
