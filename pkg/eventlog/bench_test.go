package eventlog_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/pkg/wire"
)

// prepared decides n commits of one node each, pushing undo, before the clock runs.
func prepared(w *eventlogtest.Writer, n int, silent bool) []eventlog.Commit {
	commits := make([]eventlog.Commit, n)
	filler := fmt.Sprintf("%400s", "")
	for i := range commits {
		commits[i] = w.Decides(eventlogtest.Image(i%1000, fmt.Sprint(i, filler)))
		commits[i].Record = eventlogtest.Record(w.Session, w.At, commits[i].Delta, filler)
		commits[i].Stack, commits[i].Entry = eventlog.StackPush, eventlog.Entry{Version: commits[i].Record.Version, Payload: []byte(filler)}
		commits[i].Silent = silent
		w.Took(commits[i])
	}
	return commits
}

// BenchmarkCommit asks what a commit costs: alone, in a pipeline, published or not.
func BenchmarkCommit(b *testing.B) {
	rdb := connects(b, redistest.Real(b))
	log := eventlog.New(rdb, eventlog.Config{Retention: 2000})
	for _, group := range []int{1, 16, 50} {
		for _, silent := range []bool{false, true} {
			b.Run(fmt.Sprintf("group=%d/silent=%t", group, silent), func(b *testing.B) {
				w := eventlogtest.Creates(b, log)
				b.ReportAllocs()
				done, before := 0, redisTime(b, rdb)
				for b.Loop() {
					b.StopTimer()
					commits := prepared(w, group, silent)
					b.StartTimer()
					for _, r := range log.CommitAll(b.Context(), commits) {
						if r.Err != nil {
							b.Fatal(r.Err)
						}
						done++
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(done), "ns/commit")
				b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "commits/s")
				b.ReportMetric((redisTime(b, rdb)-before)/float64(done), "redis-ns/commit")
			})
		}
	}
}

// redisTime is the processor time that the server has used. Unlike the time on the clock it says something on a busy machine.
func redisTime(b *testing.B, rdb redis.UniversalClient) float64 {
	b.Helper()
	info, err := rdb.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var seconds float64
	for _, name := range []string{"used_cpu_user:", "used_cpu_sys:"} {
		_, rest, _ := strings.Cut(info, name)
		text, _, _ := strings.Cut(rest, "\r\n")
		spent, err := strconv.ParseFloat(text, 64)
		if err != nil {
			b.Fatal(err)
		}
		seconds += spent
	}
	return seconds * 1e9
}

// BenchmarkReadAfter asks what it costs to read records that were missed.
func BenchmarkReadAfter(b *testing.B) {
	log := eventlog.New(connects(b, redistest.Real(b)), eventlog.Config{})
	w := eventlogtest.Creates(b, log)
	positions := []wire.Position{w.At}
	for _, c := range prepared(w, 1000, true) {
		if _, err := log.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		positions = append(positions, c.Record.Position())
	}
	for _, missed := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("missed=%d", missed), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tail, err := log.ReadFrom(b.Context(), w.Session, positions[1000-missed], 1000)
				if err != nil || len(tail.Records) != missed {
					b.Fatalf("%d records, %v", len(tail.Records), err)
				}
			}
		})
	}
}

// BenchmarkLoad asks how long it takes to replace the graph of a session by one of 100,000 nodes, and to load it, and for how
// long Redis does nothing else at most.
func BenchmarkLoad(b *testing.B) {
	server := redistest.Server(b, "--slowlog-log-slower-than", "500", "--slowlog-max-len", "100000")
	rdb := connects(b, server.URL())
	log := eventlog.New(rdb, eventlog.Config{})
	const nodes = 100_000
	w := staged(b, log, nodes)
	longest := func() float64 {
		slow, err := rdb.SlowLogGet(b.Context(), -1).Result()
		if err != nil {
			b.Fatal(err)
		}
		most := 0.0
		for _, s := range slow {
			most = max(most, float64(s.Duration.Microseconds())/1000)
		}
		rdb.Do(b.Context(), "slowlog", "reset")
		return most
	}
	stage := longest()
	b.ReportAllocs()
	for b.Loop() {
		if loaded, err := log.Load(b.Context(), w.Session); err != nil || len(loaded.Images) != nodes {
			b.Fatal(len(loaded.Images), err)
		}
	}
	load := longest()
	set, err := log.Stage(b.Context(), w.Session, slices.Values([]wire.Image{eventlogtest.Image(1, "one")}))
	if err != nil {
		b.Fatal(err)
	}
	w.Commits(b, w.Switches(set)) // lets go of the 100,000
	b.ReportMetric(stage, "stage-redis-ms")
	b.ReportMetric(load, "load-redis-ms")
	b.ReportMetric(longest(), "switch-redis-ms")
}
