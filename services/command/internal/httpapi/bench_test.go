package httpapi_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"

	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/command"
	"github.com/talus-tally/talus/services/command/internal/httpapi"
)

// bigPlan is a session whose graph has size nodes in all: one root, and folders of a hundred items each.
func bigPlan(b *testing.B, s *server, size int) (p plan, items []string) {
	b.Helper()
	p = newPlan(b, s)
	var flat strings.Builder
	fmt.Fprintf(&flat, `{"template_id":"generic-tree","graph":{"nodes":[{"id":%q,"type":"tree_root","name":"Plan"}`, p.root)
	folder := p.root
	for i := 1; i < size; i++ {
		id, kind, parent := uuid.NewString(), "tree_item", folder
		if i%100 == 1 && size > 100 {
			kind, parent, folder = "tree_folder", p.root, id
		} else {
			items = append(items, id)
		}
		fmt.Fprintf(&flat, `,{"id":%q,"type":%q,"name":"Node %d","parent_id":%q,"properties":{"notes":"some notes"}}`, id, kind, i, parent)
	}
	p.want(b, 200, "POST", p.path("/load-graph"), flat.String()+`]}}`, "Prefer", "return=minimal")
	return p, items
}

// written is how many bytes the Redis has received from its clients so far.
func written(b *testing.B, rdb redis.UniversalClient) float64 {
	b.Helper()
	info, err := rdb.Info(context.Background(), "stats").Result()
	must(b, err)
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "total_net_input_bytes:"); ok {
			n, err := strconv.ParseFloat(value, 64)
			must(b, err)
			return n
		}
	}
	b.Fatal("no total_net_input_bytes")
	return 0
}

// rename makes the request of the benchmarks: a command with a minimal answer.
func rename(b *testing.B, client *fasthttp.Client, p plan, item string, n int64) {
	b.Helper()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(p.url + "/api/v1/commands/execute")
	req.Header.SetMethod("POST")
	req.Header.SetContentType("application/json")
	req.Header.Set("Prefer", "return=minimal")
	req.SetBody(fmt.Appendf(nil, `{"session_id":%q,"command_type":"UpdateProperty","data":{"node_id":%q,"property_id":"name","new_value":"name %09d"}}`,
		p.id, item, n))
	if err := client.Do(req, resp); err != nil {
		b.Error(err)
	} else if resp.StatusCode() != 200 {
		b.Errorf("%d %s", resp.StatusCode(), resp.Body())
	}
}

// BenchmarkCommand asks what a command costs end to end over REST, one after the other, in graphs of three sizes: time
// and bytes written to Redis must be the same in all.
func BenchmarkCommand(b *testing.B) {
	url := redistest.Real(b)
	rdb := redistest.Client(b, url)
	s := startOn(b, url, httpapi.Config{})
	for _, size := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("nodes=%d", size), func(b *testing.B) {
			p, items := bigPlan(b, s, size)
			client := &fasthttp.Client{}
			rename(b, client, p, items[0], 0) // the graph is warm
			b.ReportAllocs()
			before, n := written(b, rdb), int64(0)
			for b.Loop() {
				n++
				rename(b, client, p, items[int(n*7919)%len(items)], n)
			}
			b.ReportMetric((written(b, rdb)-before)/float64(n), "redis-B/op")
		})
	}
}

// crowd is many sessions and the clients of one benchmark, each with one connection that stays open.
type crowd struct {
	b       *testing.B
	clients []*caller
	sent    atomic.Int64
}

// crowds gives n clients something to do in some sessions of a thousand nodes each.
func crowds(b *testing.B, s *server, clients, sessions int) *crowd {
	b.Helper()
	c := &crowd{b: b}
	plans, items := make([]plan, sessions), make([][]string, sessions)
	for i := range plans {
		plans[i], items[i] = bigPlan(b, s, 1000)
	}
	for i := range clients {
		call, err := dial(s.url)
		must(b, err)
		b.Cleanup(func() { _ = call.conn.Close() })
		for k := i; k < max(sessions, clients); k += clients { // its share of the sessions, or one that it shares
			k := k % sessions
			for j := range 16 {
				call.add(plans[k].id, items[k][(i*16+j)*7919%len(items[k])])
			}
		}
		c.clients = append(c.clients, call)
	}
	return c
}

// run lets the clients send n commands, each of them the next when the last was answered, or when its time has come: with
// an interval given all of them together send one command per interval, and the time of an answer counts from the moment
// at which its command was due. It returns the times.
func (c *crowd) run(n int, interval time.Duration) []time.Duration {
	all := make([]time.Duration, n)
	var next atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for _, client := range c.clients {
		running.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				due := time.Now()
				if interval > 0 {
					due = began.Add(time.Duration(i) * interval)
					time.Sleep(time.Until(due))
				}
				if err := client.rename(c.sent.Add(1)); err != nil {
					c.b.Error(err)
					return
				}
				all[i] = time.Since(due)
			}
		})
	}
	running.Wait()
	slices.Sort(all)
	return all
}

// BenchmarkThroughput asks how many commands per second one instance takes over REST from 64 connections that stay open,
// with the clients and Redis on the same machine, and how long an answer takes at half of that. The floor is what
// commit.lua alone reaches on that Redis in the same run, in groups of the same size.
func BenchmarkThroughput(b *testing.B) {
	const clients = 64
	url := redistest.Real(b)
	ballast := make([]byte, command.Ballast) // as the process has it
	defer runtime.KeepAlive(ballast)
	s := startOn(b, url, httpapi.Config{})
	for _, sessions := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			c := crowds(b, s, clients, sessions)
			c.run(10*clients+20*sessions, 0) // the graphs are warm
			b.ReportAllocs()
			b.ResetTimer()
			times := c.run(b.N, 0)
			took := b.Elapsed()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/took.Seconds(), "commands/s")
			b.ReportMetric(milliseconds(times, 0.99), "p99-ms")
			if b.N < 1000 {
				return
			}
			paced := c.run(b.N/2, 2*took/time.Duration(b.N))
			b.ReportMetric(milliseconds(paced, 0.5), "p50-ms-at-half")
			b.ReportMetric(milliseconds(paced, 0.99), "p99-ms-at-half")
			b.ReportMetric(eventlogtest.Floor(b, url, clients, sessions, b.N/2), "floor-commits/s")
		})
	}
}

// milliseconds is the time that the given part of sorted times stay below.
func milliseconds(sorted []time.Duration, part float64) float64 {
	return float64(sorted[int(float64(len(sorted)-1)*part)]) / float64(time.Millisecond)
}
