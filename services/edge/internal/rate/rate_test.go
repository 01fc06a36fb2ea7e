package rate_test

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/talus-tally/talus/services/edge/internal/rate"
)

// taken is how many of n tries were let through.
func taken(l *rate.Limiter, b *rate.Bucket, n int) (got int) {
	for range n {
		if l.Take(b) {
			got++
		}
	}
	return got
}

func TestABurstGoesThroughAndThenTheShareOfTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := rate.New(rate.Limit{PerSecond: 10, Burst: 5}), rate.Bucket{}

		for _, step := range []struct {
			pause time.Duration
			want  int
		}{{0, 5}, {0, 0}, {99 * time.Millisecond, 0}, {time.Millisecond, 1}, {300 * time.Millisecond, 3}, {time.Hour, 5}} {
			time.Sleep(step.pause)
			if got := taken(l, &b, 100); got != step.want {
				t.Errorf("after %v: %d, want %d", step.pause, got, step.want)
			}
		}
	})
}

func TestAFloodGetsNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := rate.New(rate.Limit{PerSecond: 50, Burst: 100}), rate.Bucket{}

		got := 0
		for range 10_000 { // ten seconds of a thousand tries
			got += taken(l, &b, 1)
			time.Sleep(time.Millisecond)
		}

		if got < 598 || got > 600 {
			t.Errorf("%d went through, want the burst of 100 and 50 for each second", got)
		}
	})
}

func TestBucketsOfOneLimiterAreApart(t *testing.T) {
	t.Parallel()
	l := rate.New(rate.Limit{PerSecond: 1, Burst: 1})
	var ann, ben rate.Bucket

	if !l.Take(&ann) || l.Take(&ann) || !l.Take(&ben) {
		t.Error("one took the other's share")
	}
}

func TestNoLimitLetsEverythingThrough(t *testing.T) {
	t.Parallel()
	var b rate.Bucket
	if l := rate.New(rate.Limit{Burst: 5}); taken(l, &b, 1000) != 1000 {
		t.Error("something was refused")
	}
}

func TestABucketIsOneWordAndAskingAllocatesNothing(t *testing.T) {
	l := rate.New(rate.Limit{PerSecond: 1000, Burst: 10})
	var b rate.Bucket
	if size := unsafe.Sizeof(b); size != 8 {
		t.Errorf("%d bytes", size)
	}
	if n := testing.AllocsPerRun(1000, func() { l.Take(&b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	l := rate.New(rate.Limit{PerSecond: 1 << 20, Burst: 1 << 20})
	var bucket rate.Bucket
	b.ReportAllocs()
	for b.Loop() {
		l.Take(&bucket)
	}
}
