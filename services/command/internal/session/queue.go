package session

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// queue runs the work of one session, one piece after the other. While there is
// work a goroutine does it; it ends when there is none.
type queue struct {
	limit int
	group *sync.WaitGroup // counts the goroutine

	mu      sync.Mutex
	waiting []*job
	running bool
}

// job is a piece of work in a queue.
type job struct {
	ctx   context.Context
	run   func(context.Context)
	taken atomic.Bool // by the worker, or by a caller that gave up
	done  chan struct{}
}

// do runs fn after all work that was queued before it, and returns when it has run.
// If too much is waiting already, the error is ErrBusy. If ctx ends first, the error
// wraps ErrUnavailable: either fn is never run, or it is running and goes on, and
// nobody will look at what it does.
func (q *queue) do(ctx context.Context, fn func(context.Context)) error {
	j := &job{ctx: ctx, run: fn, done: make(chan struct{})}
	if !q.add(j) {
		return ErrBusy
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		j.taken.CompareAndSwap(false, true)
		return fmt.Errorf("%w: waiting for the session: %w", ErrUnavailable, context.Cause(ctx))
	}
}

func (q *queue) add(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= q.limit {
		return false
	}
	q.waiting = append(q.waiting, j)
	if !q.running {
		q.running = true
		q.group.Go(q.work)
	}
	return true
}

// work is the goroutine of a busy session.
func (q *queue) work() {
	for j := q.next(); j != nil; j = q.next() {
		if j.taken.CompareAndSwap(false, true) {
			j.run(j.ctx)
		}
		close(j.done)
	}
}

func (q *queue) next() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running, q.waiting = false, nil
		return nil
	}
	j := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	return j
}

// idle reports whether there is no work.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.running
}
