package session_test

import (
	"fmt"
	"testing"

	"github.com/talus-tally/talus/pkg/redistest"
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
			n := 0
			for b.Loop() {
				n++
				d.renames(target, fmt.Sprint("named ", n))
			}
		})
	}
}

// BenchmarkWriters answers how many commands per second one instance commits for
// many callers, in one session and in many.
func BenchmarkWriters(b *testing.B) {
	url := redistest.Real(b)
	for _, sessions := range []int{1, 64} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			i := start(b, options{url: url})
			desks := make(chan *desk, sessions)
			for range sessions {
				desks <- i.project()
			}
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				d := <-desks
				desks <- d
				for n := 0; pb.Next(); n++ {
					d.renames(d.root, fmt.Sprint("named ", n))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
		})
	}
}
