package socket_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
	"golang.org/x/sys/unix"
)

// cpu is the time this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFanOut is one commit of 330 bytes reaching everybody: the time until all have it, and this process's CPU.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("conns=%d", n), func(b *testing.B) {
			plan := newRoom(b, "plan", 1024)
			var open atomic.Int32
			_, addr := serve(b, socket.Config{}, guests{open: func(c *socket.Conn, _ socket.Opening) {
				slot, _ := c.Attach(plan, 0, nil)
				plan.mu.Lock()
				plan.subs[c] = slot
				plan.mu.Unlock()
				open.Add(1)
			}})
			const size = 330
			wait := gather(b, addr, n, size)
			wait()
			sockettest.Eventually(b, "all are open", func() bool { return int(open.Load()) == n })
			b.ReportAllocs()
			used := cpu()
			for b.Loop() {
				head := len(fmt.Sprintf("plan %d ", plan.Head()+1))
				plan.commit(size - 4 - head)
				wait()
			}
			per := float64(b.N * n)
			b.ReportMetric(float64(cpu()-used)/per, "cpu-ns/delivery")
			b.ReportMetric(float64(b.Elapsed())/per, "ns/delivery")
		})
	}
}

// BenchmarkFloor is the same with nothing but one write call per socket: what the kernel alone costs here.
func BenchmarkFloor(b *testing.B) {
	const n, size = 1000, 330
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	fds := make(chan int, n)
	go func() {
		for range n {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			raw, _ := nc.(*net.TCPConn).SyscallConn()
			_ = raw.Control(func(fd uintptr) {
				dup, _ := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
				_, _ = unix.Write(dup, []byte("\r\n"))
				fds <- dup
			})
			_ = nc.Close()
		}
	}()
	wait := gather(b, ln.Addr().String(), n, size)
	wait()
	all := make([]int, n)
	for i := range all {
		all[i] = <-fds
	}
	frame := make([]byte, size)
	used := cpu()
	for b.Loop() {
		for _, fd := range all {
			_, _ = unix.Write(fd, frame)
		}
		wait()
	}
	per := float64(b.N * n)
	b.ReportMetric(float64(cpu()-used)/per, "cpu-ns/delivery")
	b.ReportMetric(float64(b.Elapsed())/per, "ns/delivery")
	for _, fd := range all {
		_ = unix.Close(fd)
	}
	_ = ln.Close()
}

// BenchmarkIdle is what a joined connection costs while nothing happens.
func BenchmarkIdle(b *testing.B) {
	const n = 2000
	resident := func() float64 {
		for range 3 { // pools give their contents up in the second collection
			runtime.GC()
		}
		debug.FreeOSMemory()
		text, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			b.Fatal(err)
		}
		pages, _ := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
		return pages * float64(os.Getpagesize())
	}
	plan := newRoom(b, "plan", 16)
	var open atomic.Int32
	s, addr := serve(b, socket.Config{}, guests{open: func(c *socket.Conn, _ socket.Opening) {
		_, _ = plan.join(c)
		open.Add(1)
	}})
	gather(b, addr, 200, 0)() // whatever is allocated once
	sockettest.Eventually(b, "the first are open", func() bool { return open.Load() == 200 })
	before := resident()
	gather(b, addr, n, 0)()
	sockettest.Eventually(b, "all are open", func() bool { return open.Load() == 200+n })
	plan.commit(100)
	after := resident()
	for b.Loop() {
		_ = s.Stats()
	}
	b.ReportMetric((after-before)/n, "rss-B/conn")
	b.ReportMetric(float64(ours())/n, "goroutines/conn")
}

// sinkhole takes everything at no cost.
type sinkhole struct{}

func (sinkhole) Write(p []byte) int { return len(p) }
func (sinkhole) ShutWrite()         {}
func (sinkhole) End()               {}

// BenchmarkDeliver is the machine's own part of one delivery on the fast path.
func BenchmarkDeliver(b *testing.B) {
	plan := newRoom(b, "plan", 16)
	c := socket.NewMachine(sinkhole{}, func(*socket.Conn) {}, func(*socket.Conn) {}, 64<<10)
	slot, err := c.Attach(plan, 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	f := make([]byte, 330)
	v := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		v++
		c.Deliver(slot, v, f)
	}
}
