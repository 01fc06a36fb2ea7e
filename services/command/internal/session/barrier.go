package session

import (
	"context"
	"sync"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// look is one reading of a session's head.
type look struct {
	began uint64        // by the session's clock
	had   wire.Position // where this instance stood then; zero: nowhere
	head  eventlog.Head
	err   error
	done  chan struct{}
}

// forked reports that the place where this instance stood is not on the chain that
// leads to the head: Redis lost what came after.
func (l *look) forked() bool {
	head := l.head.Position
	return !l.had.IsZero() && (l.had.Epoch != head.Epoch || l.had.Version > head.Version ||
		(l.had.Version == head.Version && l.had.Digest != head.Digest))
}

// barrier lets everybody who waits for a session share one reading of its head. A
// reading counts only for those who asked before it began, so that none of them is
// answered from an older state than the one they could have known of. At most one
// reading is in flight.
type barrier struct {
	timeout time.Duration
	group   *sync.WaitGroup // counts the goroutine of a reading
	turn    chan struct{}   // holds a token while a reading is in flight

	mu   sync.Mutex
	next *look // not begun yet; nil: nobody waits
}

func newBarrier(timeout time.Duration, group *sync.WaitGroup) *barrier {
	return &barrier{timeout: timeout, group: group, turn: make(chan struct{}, 1)}
}

// look waits for a reading that begins after the call, for as long as two readings
// may take. The reading has a goroutine and a timeout of its own, because nobody
// who shares it may end it for the others.
func (b *barrier) look(ctx context.Context, read func(context.Context, *look)) (*look, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*b.timeout)
	defer cancel()
	b.mu.Lock()
	l := b.next
	if l == nil {
		l = &look{done: make(chan struct{})}
		b.next = l
		b.group.Go(func() { b.lead(context.WithoutCancel(ctx), l, read) })
	}
	b.mu.Unlock()
	select {
	case <-l.done:
		return l, l.err
	case <-ctx.Done():
		return nil, unavailable(context.Cause(ctx))
	}
}

func (b *barrier) lead(ctx context.Context, l *look, read func(context.Context, *look)) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	b.mu.Lock()
	b.next = nil
	b.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	defer close(l.done)
	read(ctx, l)
}
