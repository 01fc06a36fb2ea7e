package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// ErrCutOff says that requests were still in progress when the time of a stop was over.
var ErrCutOff = errors.New("requests in progress were cut off")

// leastStop is for the connections that have said nothing, and for looking whether any are left.
const leastStop = 500 * time.Millisecond

// Front is an application that serves HTTP on listeners, as Fiber's do.
type Front interface {
	ShutdownWithTimeout(time.Duration) error
}

// Shut stops what serves l, whose result comes from served: nothing is accepted any more, and requests in progress may end
// within the given time, or half a second if that is more. It returns ErrCutOff if they did not, and what serving failed with.
func Shut(front Front, l *Listener, served <-chan error, within time.Duration) error {
	within = max(within, leastStop)
	err := front.ShutdownWithTimeout(within)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w after %v", ErrCutOff, within)
	}
	_ = l.Close() // ShutdownWithTimeout does not reach a listener that is not served yet
	if end := <-served; end != nil && !errors.Is(end, net.ErrClosed) {
		err = errors.Join(err, end)
	}
	return err
}
