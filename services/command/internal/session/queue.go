package session

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maxGroup is how many commands are committed in one pipeline at most.
const maxGroup = 64

// queue runs the work of one session, one piece after the other. While there is
// work a goroutine does it; it ends when there is none.
type queue struct {
	limit int
	bytes int64
	group *sync.WaitGroup // counts the goroutine

	// together does commands that stand next to each other in the queue. It must
	// finish each of them that it can begin.
	together func([]*job)

	mu      sync.Mutex
	waiting []*job
	size    int64 // of those that wait
	running bool
}

// job is a piece of work in a queue: something to run, or a command.
type job struct {
	ctx     context.Context
	run     func(context.Context)
	command *attempt // nil: run
	taken   atomic.Bool
	done    chan struct{}
}

// begin takes the job; false if its caller gave it up.
func (j *job) begin() bool {
	if j.taken.CompareAndSwap(false, true) {
		return true
	}
	close(j.done)
	return false
}

// weight is what the job keeps in memory while it waits.
func (j *job) weight() int64 {
	if j.command == nil {
		return 0
	}
	return j.command.edit.size
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
	return j.wait(ctx, nil)
}

// decide has a command decided and committed, like do. Slow is called if that takes
// long.
func (q *queue) decide(ctx context.Context, a *attempt, slow func()) (outcome, error) {
	j := &job{ctx: ctx, command: a, done: make(chan struct{})}
	if !q.add(j) {
		return outcome{}, ErrBusy
	}
	if err := j.wait(ctx, slow); err != nil {
		return outcome{}, err
	}
	return a.outcome, nil
}

// slowAfter is the time after which people are told that a command is at work.
const slowAfter = 100 * time.Millisecond

// timers are stopped.
var timers = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return timer
}}

func (j *job) wait(ctx context.Context, slow func()) error {
	var late <-chan time.Time
	if slow != nil {
		timer := timers.Get().(*time.Timer)
		timer.Reset(slowAfter)
		defer func() { timer.Stop(); timers.Put(timer) }() // a stopped timer's channel is empty
		late = timer.C
	}
	for {
		select {
		case <-j.done:
			return nil
		case <-late:
			slow()
		case <-ctx.Done():
			j.taken.CompareAndSwap(false, true)
			return fmt.Errorf("%w: waiting for the session: %w", ErrUnavailable, context.Cause(ctx))
		}
	}
}

func (q *queue) add(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= q.limit || (len(q.waiting) > 0 && q.size+j.weight() > q.bytes) {
		return false
	}
	q.waiting, q.size = append(q.waiting, j), q.size+j.weight()
	if !q.running {
		q.running = true
		q.group.Go(q.work)
	}
	return true
}

// work is the goroutine of a busy session. There is a new one for nearly every command of a session that has few.
func (q *queue) work() {
	roomy(0)
	for jobs := q.next(); len(jobs) > 0; jobs = q.next() {
		if jobs[0].command != nil {
			q.together(jobs)
		} else if j := jobs[0]; j.begin() {
			j.run(j.ctx)
			close(j.done)
		}
	}
}

// roomy makes the stack of a new goroutine grow at once to what a commit needs, while there is nothing on it. Otherwise it
// would grow three times on the way down, and be copied each time with all that was on it.
// The index, which is not known when it is compiled, keeps the frame from being left out.
//
//go:noinline
func roomy(i int) byte {
	var frame [8 << 10]byte
	return frame[i]
}

// next is the first that waits, with the commands behind it if it is one.
func (q *queue) next() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running, q.waiting = false, nil
		return nil
	}
	n := 1
	for q.waiting[0].command != nil && n < min(len(q.waiting), maxGroup) && q.waiting[n].command != nil {
		n++
	}
	jobs := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	for _, j := range jobs {
		q.size -= j.weight()
	}
	return jobs
}

// idle reports whether there is no work.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.running
}
