package drive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Plan is a load.
type Plan struct {
	Addr    string        // host:port of the command service
	Callers int           // connections
	Rate    float64       // commands per second in all; 0: as fast as the callers get answers
	For     time.Duration // how long commands are due
	// Next makes the request of the i-th command, which is due at a moment in Unix nanoseconds, at the end of dst. It
	// is called by all callers at once.
	Next func(dst []byte, i int, due int64) []byte
	// Took is called with the answer to the i-th command; it may be nil. It is called by all callers at once.
	Took func(i int, body []byte)
}

// Outcome is what came of a load.
type Outcome struct {
	Sent    uint64
	Refused uint64                  // answered, but not with 2xx
	Failed  uint64                  // not answered
	Took    time.Duration           // from the first command to the last answer
	Latency *hdrhistogram.Histogram // nanoseconds from the moment a command was due to its answer
	Late    *hdrhistogram.Histogram // nanoseconds from the moment a command was due to its sending: our own fault
	First   error                   // the first that went wrong
}

// Rate is the answered commands per second.
func (o Outcome) Rate() float64 {
	if o.Took <= 0 {
		return 0
	}
	return float64(o.Sent-o.Failed) / o.Took.Seconds()
}

const (
	finest   = int64(time.Microsecond)
	coarsest = int64(5 * time.Minute)
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(finest, coarsest, 2) }

// run is a load under way.
type run struct {
	Plan
	began time.Time
	next  atomic.Int64

	mu  sync.Mutex
	out Outcome
}

// Run sends a load until all commands are answered or ctx ends.
func Run(ctx context.Context, p Plan) Outcome {
	r := &run{Plan: p, began: time.Now()}
	r.out.Latency, r.out.Late = newHistogram(), newHistogram()
	var callers sync.WaitGroup
	for range p.Callers {
		callers.Go(func() { r.call(ctx) })
	}
	callers.Wait()
	r.out.Took = time.Since(r.began)
	return r.out
}

// call is one caller's work.
func (r *run) call(ctx context.Context) {
	caller := NewCaller(r.Addr)
	defer caller.Close()
	clock := newAlarm()
	defer clock.close()
	mine := Outcome{Latency: newHistogram(), Late: newHistogram()}
	var request []byte
	for ctx.Err() == nil {
		i := int(r.next.Add(1) - 1)
		due, more := r.due(i)
		if !more {
			break
		}
		clock.wait(due)
		sent := time.Now()
		request = r.Next(request[:0], i, due.UnixNano())
		status, body, err := caller.Do(request)
		mine.Sent++
		mine.note(status, body, err)
		if err != nil {
			continue
		}
		record(mine.Late, sent.Sub(due))
		record(mine.Latency, time.Since(due))
		if r.Took != nil && status/100 == 2 {
			r.Took(i, body)
		}
	}
	r.add(mine)
}

// due is when the i-th command is to be sent.
func (r *run) due(i int) (at time.Time, more bool) {
	if r.Rate == 0 {
		now := time.Now()
		return now, now.Sub(r.began) < r.For
	}
	after := time.Duration(float64(i) / r.Rate * float64(time.Second))
	return r.began.Add(after), after < r.For
}

func (o *Outcome) note(status int, body []byte, err error) {
	switch {
	case err != nil:
		o.Failed++
	case status/100 != 2:
		o.Refused++
		err = fmt.Errorf("status %d: %.300s", status, body)
	}
	if o.First == nil {
		o.First = err
	}
}

func (r *run) add(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Sent += o.Sent
	r.out.Refused += o.Refused
	r.out.Failed += o.Failed
	r.out.Latency.Merge(o.Latency)
	r.out.Late.Merge(o.Late)
	if r.out.First == nil {
		r.out.First = o.First
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), finest), coarsest)) // within the bounds it cannot fail
}
