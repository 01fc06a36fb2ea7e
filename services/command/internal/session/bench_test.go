package session_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/command"
	"github.com/talus-tally/talus/services/command/internal/loadgraph"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// BenchmarkCommand answers what a command costs in graphs of three sizes, one at a
// time, from the call to the answer, with everything on a real Redis.
func BenchmarkCommand(b *testing.B) {
	url := redistest.Real(b)
	for _, nodes := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			d := start(b, options{url: url}).project()
			must(b, second(d.LoadGraph(d.ctx, document(b, nodes-1, ""), session.Call{})))
			target := loadgraph.MapID("n1")
			d.renames(target, "warm")
			b.ReportAllocs()
			before, n := usage(b, d.rdb), 0
			for b.Loop() {
				n++
				d.renames(target, fmt.Sprint("named ", n))
			}
			before.report(b, d.rdb, n)
		})
	}
}

// BenchmarkWriters answers how many commands per second one instance commits for
// many callers, in one session and in many. The floor is what commit.lua alone reaches on that Redis in the same run, in
// groups of the same size.
func BenchmarkWriters(b *testing.B) {
	const parallelism = 32
	url := redistest.Real(b)
	ballast := make([]byte, command.Ballast) // as the process has it
	defer runtime.KeepAlive(ballast)
	for _, sessions := range []int{1, 10, 64} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			i := start(b, options{url: url})
			desks := make(chan *desk, sessions)
			for range sessions {
				desks <- i.project()
			}
			b.ReportAllocs()
			b.SetParallelism(parallelism)
			before := usage(b, i.rdb)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				d := <-desks
				desks <- d
				for n := 0; pb.Next(); n++ {
					d.renames(d.root, fmt.Sprint("named ", n))
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
			before.report(b, i.rdb, b.N)
			if callers := parallelism * runtime.GOMAXPROCS(0); b.N > 10*callers {
				b.ReportMetric(eventlogtest.Floor(b, url, callers, sessions, b.N), "floor-commits/s")
			}
		})
	}
}

// used is processor time so far. Unlike the time on the clock it says something on a
// busy machine.
type used struct{ own, redis time.Duration }

func usage(b *testing.B, rdb redis.UniversalClient) used {
	b.Helper()
	info, err := rdb.Info(b.Context(), "cpu").Result()
	must(b, err)
	var u used
	for _, name := range []string{"used_cpu_user:", "used_cpu_sys:"} {
		_, rest, _ := strings.Cut(info, name)
		text, _, _ := strings.Cut(rest, "\r\n")
		seconds, err := strconv.ParseFloat(text, 64)
		must(b, err)
		u.redis += time.Duration(seconds * 1e9)
	}
	var r syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	u.own = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	return u
}

// report tells what n commands used since then, here and in Redis.
func (u used) report(b *testing.B, rdb redis.UniversalClient, n int) {
	now := usage(b, rdb)
	b.ReportMetric(float64((now.own-u.own).Nanoseconds())/float64(n), "cpu-ns/op")
	b.ReportMetric(float64((now.redis-u.redis).Nanoseconds())/float64(n), "redis-ns/op")
}
