// Package rate bounds how often something may happen, at the price of one word for each thing that is bounded.
//
// It promises that of any period at most its share and one burst is let through, that asking allocates nothing and
// takes no lock, and that a jump of the wall clock changes nothing. It does not wait, and it does not remember what it
// refused: a refused try costs no share.
package rate

import "time"

// Limit is how often something may happen. The zero Limit is none.
type Limit struct {
	PerSecond int // on average; 0: as often as it likes
	Burst     int // at once after a pause, at least 1
}

// Limiter applies one Limit to any number of buckets. It is immutable. A nil Limiter lets everything through.
type Limiter struct {
	start time.Time     // buckets count from here, on the monotonic clock
	each  time.Duration // the share of one event
	depth time.Duration // the share of a burst
}

// Bucket is the state of one bounded thing, in 8 bytes. The zero Bucket is full. It is used by one goroutine at a time.
type Bucket struct {
	full time.Duration // when the bucket will be full again, from the limiter's start
}

// New returns the limiter of l, nil if l is no limit.
func New(l Limit) *Limiter {
	if l.PerSecond <= 0 {
		return nil
	}
	each := time.Second / time.Duration(l.PerSecond)
	return &Limiter{start: time.Now(), each: each, depth: each * time.Duration(max(l.Burst, 1))}
}

// Take takes one share out of b. It returns false, and takes nothing, when there is none.
//
// This is the virtual scheduling form of the generic cell rate algorithm (ITU-T I.371, annex A).
func (l *Limiter) Take(b *Bucket) bool {
	if l == nil {
		return true
	}
	now := time.Since(l.start)
	full := max(b.full, now) + l.each
	if full-now > l.depth {
		return false
	}
	b.full = full
	return true
}
