package hub_test

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// wired is a client at the far end of a TCP connection over loopback, who reads when nobody measures.
type wired struct {
	counter
	fd   int
	near net.Conn
	far  net.Conn
}

func (w *wired) Deliver(version uint64, frame []byte) {
	for {
		_, err := unix.Write(w.fd, frame)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			panic(err)
		}
	}
	w.counter.Deliver(version, frame)
}

// drain reads what n commits of a size left.
func (w *wired) drain(b *testing.B, bytes int64) {
	if _, err := io.CopyN(io.Discard, w.far, bytes); err != nil {
		b.Fatal(err)
	}
}

func wire1000(b *testing.B, c counter) []*wired {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	all := make([]*wired, 1000)
	for i := range all {
		far, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		near, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _, _ = near.Close(), far.Close() })
		w := &wired{counter: c, near: near, far: far}
		raw, err := near.(*net.TCPConn).SyscallConn()
		if err != nil {
			b.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) { w.fd = int(fd) }); err != nil {
			b.Fatal(err)
		}
		all[i] = w
	}
	return all
}

// BenchmarkBigRoom is how long one commit takes from the channel into the sockets of a thousand clients, who have a
// machine of their own as far as that can be: they read while the clock stands.
func BenchmarkBigRoom(b *testing.B) {
	const clients, unread = 1000, 32 // commits that lie in a socket's buffer before it is read
	for _, writers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			started, done := make(chan hub.Start, clients), make(chan struct{}, 1)
			all := wire1000(b, counter{started: started, seen: new(atomic.Uint64), all: clients, done: done})
			seats := make([]hub.Client, clients)
			for i, w := range all {
				seats[i] = w
			}
			h := seat(b, hub.Config{Writers: writers}, seats)
			var at hub.Start
			for range clients {
				at = <-started
			}
			position, bytes, n := at.Position, int64(0), 0
			for b.Loop() {
				rec := after(uuid.Max, position)
				position = rec.Position()
				h.Message(uuid.Max, rec.Raw)
				<-done
				bytes += int64(len(at.Ring.Frame(position.Version)))
				if n++; n%unread == 0 {
					b.StopTimer()
					for _, w := range all {
						w.drain(b, bytes)
					}
					bytes = 0
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients), "ns/delivery")
		})
	}
}
