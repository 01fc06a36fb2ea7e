// Package commands takes the commands that clients send over their sockets to the command service, which answers them as
// it answers POST /commands/execute (api.md, part 3).
//
// It promises that each command is answered exactly once, with the status and the body that REST would give, also when
// the service is away (503, which may be repeated) or too much is waiting; that the commands of one connection are
// carried out one after the other, in the order sent; and that no call of a connection waits. A command that was taken is
// carried out although its connection has gone. Repeating one is safe if it has a command_id: it is its idempotency key.
//
// Goroutines: workers, at most [Config.Workers], while there are commands; an idle connection has none. [Service.Run]
// waits for them.
package commands

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
)

// Config says where the command service is and what may be under way. A zero field means its default.
type Config struct {
	URL       string            // of the command service, such as "http://command:8080"
	Transport http.RoundTripper // default: HTTP over the network
	Timeout   time.Duration     // of one command, default 15 s: longer than the service takes itself
	Workers   int               // commands that are carried out at a time, default 64
	Waiting   int               // commands that wait for a worker, default 1,024
	PerLane   int               // the same of one connection, default 32
	Bytes     int               // of commands that wait or are carried out, default 64 MiB
	LaneBytes int               // the same of one connection, default 8 MiB

	// Problem is the body of a refusal (api.md, part 1).
	Problem func(code wire.Code, message string) []byte
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 15*time.Second)
	c.Workers = cmp.Or(c.Workers, 64)
	c.Waiting = cmp.Or(c.Waiting, 1024)
	c.PerLane = cmp.Or(c.PerLane, 32)
	c.Bytes = cmp.Or(c.Bytes, 64<<20)
	c.LaneBytes = cmp.Or(c.LaneBytes, 8<<20)
	if c.Transport == nil {
		c.Transport = network(c.Workers)
	}
	return c
}

// Answer is what became of a command.
type Answer struct {
	Status   int    // as of REST
	Replayed bool   // it had been carried out before: this is its first answer
	Body     []byte // JSON, as of REST
}

// Service carries commands out. It is safe for concurrent use.
type Service struct {
	cfg     Config
	client  http.Client
	metrics metrics

	// ctx bounds the calls. It is the service's lifetime, not a caller's: commands outlive their connections.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // workers

	mu      sync.Mutex
	line    []*Lane // with commands that no worker is at
	waiting int     // commands in all lanes
	bytes   int     // of these, and of those that workers are at
	workers int
	closed  bool
}

// New returns a service that has nothing to do. The metrics are registered with reg.
func New(cfg Config, reg prometheus.Registerer) *Service {
	s := &Service{cfg: cfg.withDefaults(), metrics: newMetrics(reg)}
	s.client = http.Client{Transport: s.cfg.Transport}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Run waits until ctx ends, gives what is under way another moment, and returns when it is answered.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	const grace = 2 * time.Second
	stop := time.AfterFunc(grace, s.cancel)
	s.work.Wait()
	stop.Stop()
	s.cancel()
	s.client.CloseIdleConnections()
	return nil
}

// Lane keeps the commands of one connection in order.
type Lane struct {
	service *Service
	queue   []task // guarded by the service's mu
	bytes   int    // of the commands in the queue and the one that a worker is at; likewise
	served  bool   // a worker is at it, or it stands in line; likewise
}

// task is one command and who wants to know.
type task struct {
	request Request
	answer  func(Answer)
}

// Lane returns the lane of a connection. It costs nothing while it is empty.
func (s *Service) Lane() *Lane { return &Lane{service: s} }

// Do has a command carried out after those before it. The answer is called once: by a worker or, if the command is
// refused right away, by this call. It must not block.
func (l *Lane) Do(r Request, answer func(Answer)) {
	if refusal, ok := l.push(task{r, answer}); !ok {
		answer(refusal)
	}
}

func (l *Lane) push(t task) (Answer, bool) {
	s := l.service
	size := t.request.size()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return s.refuse(wire.Unavailable, "this instance is stopping"), false
	case len(l.queue) >= s.cfg.PerLane || l.bytes+size > s.cfg.LaneBytes:
		return s.refuse(wire.RateLimited, "too many commands of this connection are waiting"), false
	case s.waiting >= s.cfg.Waiting || s.bytes+size > s.cfg.Bytes:
		return s.refuse(wire.Unavailable, "too many commands are waiting"), false
	}
	s.waiting++
	s.bytes += size
	l.bytes += size
	if l.queue = append(l.queue, t); l.served {
		return Answer{}, true
	}
	l.served = true
	s.line = append(s.line, l)
	if s.workers < s.cfg.Workers {
		s.workers++
		s.work.Go(s.serve)
	}
	return Answer{}, true
}

// serve carries out commands until there are none.
func (s *Service) serve() {
	for l, t, ok := s.take(); ok; l, t, ok = s.take() {
		began := time.Now()
		a := s.call(t.request)
		s.metrics.answered(a, time.Since(began))
		t.answer(a)
		s.back(l, t.request.size())
	}
}

// take picks the next command of the lane that has waited longest; with none left the worker ends.
func (s *Service) take() (*Lane, task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) == 0 {
		s.line = nil
		s.workers--
		return nil, task{}, false
	}
	l := s.line[0]
	s.line[0] = nil
	s.line = s.line[1:]
	t := l.queue[0]
	l.queue[0] = task{}
	l.queue = l.queue[1:]
	s.waiting--
	return l, t, true
}

// back puts a lane, of which a command of that size is done, at the end of the line, if it has more.
func (s *Service) back(l *Lane, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= size
	l.bytes -= size
	if len(l.queue) > 0 {
		s.line = append(s.line, l)
		return
	}
	l.queue, l.served = nil, false
}

func (s *Service) refuse(code wire.Code, message string) Answer {
	return Answer{Status: code.Status(), Body: s.cfg.Problem(code, message)}
}
