//go:build linux

// Package swarm holds many client connections in one process as cheaply as the system allows: no goroutine and no
// buffer per connection, one epoll set per worker, large reads.
//
// It promises that every commit that any of its connections receives goes through a [follow.Follower], that latency is
// counted from the moment at which the command was due, and that a connection whose stream is wrong is counted, named
// and closed. It speaks plain TCP only. Each worker is one goroutine; Close ends and waits for them.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/talus-tally/talus/tests/load/follow"
)

// MaxConnections is how many one process may hold; systems commonly allow 20,000 open files.
const MaxConnections = 18_000

// histogram bounds in nanoseconds: 1 µs to 5 minutes, 2 digits.
const (
	finest   = int64(time.Microsecond)
	coarsest = int64(5 * time.Minute)
)

// NewHistogram makes a histogram of nanoseconds as the swarm uses them.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(finest, coarsest, 2) }

// Record adds d to h; what is beyond the bounds counts as the nearest bound.
func Record(h *hdrhistogram.Histogram, d int64) {
	_ = h.RecordValue(min(max(d, finest), coarsest)) // within the bounds it cannot fail
}

// Config is the shape of a swarm. Zero values stand for the defaults.
type Config struct {
	Workers       int           // goroutines that read, default 1
	Nap           time.Duration // how long a worker leaves the sockets alone after it has served them, default 0; see worker.run
	Pending       int           // connections that may be opening at a time, default 256
	Sources       int           // loopback addresses that connections come from, default 4; not used for other targets
	ReceiveBuffer int           // SO_RCVBUF in bytes, 0: the system's choice
	Depth         int           // versions per session that are remembered for comparison, default 1,024
}

func (c Config) withDefaults() Config {
	if c.Workers == 0 {
		c.Workers = 1
	}
	if c.Pending == 0 {
		c.Pending = 256
	}
	if c.Sources == 0 {
		c.Sources = 4
	}
	if c.Depth == 0 {
		c.Depth = 1024
	}
	return c
}

// Swarm is many connections. Its methods may be called from one goroutine at a time.
type Swarm struct {
	cfg     Config
	workers []*worker
	pending chan struct{} // a token per connection that is opening
	size    int
	running sync.WaitGroup
}

// New starts the workers.
func New(cfg Config) (*Swarm, error) {
	s := &Swarm{cfg: cfg.withDefaults()}
	s.pending = make(chan struct{}, s.cfg.Pending)
	for range s.cfg.Workers {
		w, err := newWorker(s)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.workers = append(s.workers, w)
		s.running.Go(w.run)
	}
	return s, nil
}

// Close ends all connections and the workers.
func (s *Swarm) Close() {
	for _, w := range s.workers {
		w.stop()
	}
	s.running.Wait()
	for _, w := range s.workers {
		w.free()
	}
	s.workers = nil
}

// Seat is a connection that is not open.
type Seat struct {
	w *worker
	c *conn
}

// Seats makes n connections that are to follow a session. Each of targets gets its share of them.
func (s *Swarm) Seats(targets []netip.AddrPort, d follow.Dialect, session string, n int) ([]Seat, error) {
	if s.size+n > MaxConnections {
		return nil, fmt.Errorf("%d connections: one process holds at most %d", s.size+n, MaxConnections)
	}
	seats := make([]Seat, 0, n)
	for range n {
		w := s.workers[s.size%len(s.workers)]
		target := targets[s.size/len(s.workers)%len(targets)]
		s.size++
		w.mu.Lock()
		seats = append(seats, Seat{w, w.seat(target, d, session)})
		w.mu.Unlock()
	}
	return seats, nil
}

// Open opens seats, at most Config.Pending at a time, and waits until all have joined or ctx ends.
func (s *Swarm) Open(ctx context.Context, seats []Seat) error {
	for _, seat := range seats {
		select {
		case s.pending <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("opening connections: %w", s.explain(ctx.Err()))
		}
		seat.w.mu.Lock()
		seat.w.dial(seat.c)
		seat.w.mu.Unlock()
	}
	return s.await(ctx, "joining", func(c *conn) bool { return c.away || c.follower.Joined() || c.state == over })
}

// Drop closes every connection that is open, as a network that breaks does, and returns their seats.
func (s *Swarm) Drop() []Seat {
	var seats []Seat
	for _, w := range s.workers {
		w.mu.Lock()
		for _, c := range w.conns {
			if c.state != over {
				c.away = true
				w.shut(c)
				c.follower.Away()
				seats = append(seats, Seat{w, c})
			}
		}
		w.mu.Unlock()
	}
	return seats
}

// Tell says at which version clients go on that come from now on and are told no position.
func (s *Swarm) Tell(heads map[string]uint64) {
	for _, w := range s.workers {
		w.mu.Lock()
		for _, r := range w.rooms {
			r.Head = heads[r.Session]
		}
		w.mu.Unlock()
	}
}

// Lost returns the seats of the connections that the server has ended, for Open.
func (s *Swarm) Lost() []Seat {
	var seats []Seat
	for _, w := range s.workers {
		w.mu.Lock()
		for _, c := range w.conns {
			if c.state == over && !c.away && !c.wrong {
				c.away = true
				seats = append(seats, Seat{w, c})
			}
		}
		w.mu.Unlock()
	}
	return seats
}

// Deafen makes n connections read nothing any more.
func (s *Swarm) Deafen(n int) {
	for _, w := range s.workers {
		w.mu.Lock()
		for _, c := range w.conns {
			if n > 0 && c.state == live && !c.deaf {
				w.deafen(c)
				n--
			}
		}
		w.mu.Unlock()
	}
}

// Await waits until every connection that is open and reads has the given version of its session.
func (s *Swarm) Await(ctx context.Context, heads map[string]uint64) error {
	return s.await(ctx, "catching up", func(c *conn) bool {
		return c.deaf || c.state == over || c.follower.Version() >= heads[c.room.Session]
	})
}

// await polls until ok holds for all connections.
func (s *Swarm) await(ctx context.Context, what string, ok func(*conn) bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := 0
		for _, w := range s.workers {
			missing += w.missing(ok)
		}
		if missing == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %d connections: %w", what, missing, s.explain(ctx.Err()))
		}
	}
}

// explain adds what went wrong first to err.
func (s *Swarm) explain(err error) error {
	for _, w := range s.workers {
		w.mu.Lock()
		err = errors.Join(append([]error{err}, w.errs...)...)
		w.mu.Unlock()
	}
	return err
}

// Counts are totals since the start.
type Counts struct {
	Open       int            `json:"open"`       // connections now
	Joined     uint64         `json:"joined"`     // joins, resumed ones included
	Resumed    uint64         `json:"resumed"`    // joins that went on from a position
	Deliveries uint64         `json:"deliveries"` // whole commits received
	Pieces     uint64         `json:"reads"`      // reads of sockets
	Bytes      uint64         `json:"bytes"`
	Lost       uint64         `json:"lost"`  // connections that the server ended
	Wrong      uint64         `json:"wrong"` // streams that broke a rule
	Farewells  map[string]int `json:"farewells,omitempty"`
	Errors     []string       `json:"errors,omitempty"` // the first few
}

// Counts returns the totals of all workers.
func (s *Swarm) Counts() Counts {
	sum := Counts{Farewells: map[string]int{}}
	for _, w := range s.workers {
		w.mu.Lock()
		sum.Open += w.open
		sum.Joined += w.count.Joined
		sum.Resumed += w.count.Resumed
		sum.Deliveries += w.count.Deliveries
		sum.Pieces += w.count.Pieces
		sum.Bytes += w.count.Bytes
		sum.Lost += w.count.Lost
		sum.Wrong += w.count.Wrong
		for code, n := range w.farewells {
			sum.Farewells[code] += n
		}
		for _, err := range w.errs {
			sum.Errors = append(sum.Errors, err.Error())
		}
		w.mu.Unlock()
	}
	return sum
}

// Window is what was received since the call before.
type Window struct {
	Latency *hdrhistogram.Histogram // from the moment a command was due to the receipt of its commit
	Joins   *hdrhistogram.Histogram // from the beginning of a connection to joined
}

// Window takes the histograms of all workers and leaves empty ones.
func (s *Swarm) Window() Window {
	sum := Window{NewHistogram(), NewHistogram()}
	for _, w := range s.workers {
		w.mu.Lock()
		sum.Latency.Merge(w.latency)
		sum.Joins.Merge(w.joins)
		w.latency.Reset()
		w.joins.Reset()
		w.mu.Unlock()
	}
	return sum
}
