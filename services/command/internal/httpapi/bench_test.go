package httpapi_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"

	"github.com/talus-tally/talus/pkg/redistest"
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

// BenchmarkThroughput asks how many commands per second one instance takes from 64 clients, over one session and over
// eight, with the clients and Redis on the same machine.
func BenchmarkThroughput(b *testing.B) {
	s := startOn(b, redistest.Real(b), httpapi.Config{})
	for _, sessions := range []int{1, 8} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			plans, items := make([]plan, sessions), make([][]string, sessions)
			for i := range plans {
				plans[i], items[i] = bigPlan(b, s, 1000)
			}
			client := &fasthttp.Client{MaxConnsPerHost: 256}
			var count atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := count.Add(1)
					k := int(n) % sessions
					rename(b, client, plans[k], items[k][int(n*7919)%len(items[k])], n)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
		})
	}
}
