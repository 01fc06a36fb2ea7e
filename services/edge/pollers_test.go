package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

func TestAThousandPollersLoseNothingAndLeaveNothingBehind(t *testing.T) { // not parallel: it counts what the process has
	pollers, commits := 1000, 20
	if testing.Short() {
		pollers = 200
	}
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	before := runtime.NumGoroutine()
	poll(t, e, plan, pollers, 0, commits)
	leavesNoGoroutines(t, before)
	first := live() // pools and tables have their size now
	poll(t, e, plan, pollers, commits, commits)
	leavesNoGoroutines(t, before)

	const little = 1 << 20 // 1 KiB of each, which is less than anything that is kept for a session
	if more := live() - first; more > little {
		t.Errorf("%d bytes more are in use after %d pollers came and left a second time", more, pollers)
	}
}

// poll lets pollers come, follow commits that are made meanwhile, from the one after head on, and leave.
func poll(t *testing.T, e *edge.Edge, plan *session, pollers, head, commits int) {
	t.Helper()
	var joined, running sync.WaitGroup
	before := edge.Polls(e)
	joined.Add(pollers)
	for i := range pollers {
		running.Go(func() {
			once := sync.OnceFunc(joined.Done)
			defer once() // also if it could not
			p, err := comes(e)
			if err != nil {
				t.Errorf("poller %d: %v", i, err)
				return
			}
			defer p.conn.Close()
			if err := p.follows(plan, head, head+commits, once); err != nil {
				t.Errorf("poller %d: %v", i, err)
			}
		})
	}
	joined.Wait()
	eventually(t, "all polls are pending", func() bool {
		come := edge.Polls(e)
		time.Sleep(100 * time.Millisecond)
		return come >= before+uint64(pollers) && edge.Polls(e) == come
	})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range commits {
		plan.commitsEvents(3)
		<-tick.C
	}
	running.Wait()
}

func leavesNoGoroutines(t *testing.T, before int) {
	t.Helper()
	left := func() int { return runtime.NumGoroutine() - before }
	for deadline := time.Now().Add(time.Minute); left() > 0 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
	}
	if n := left(); n > 0 {
		stacks := make([]byte, 64<<10)
		t.Errorf("%d goroutines more than before\n%s", n, stacks[:runtime.Stack(stacks, true)])
	}
}

// live is how many bytes of the heap are in use.
func live() int64 {
	var m runtime.MemStats
	for range 3 { // what pools hold goes with the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// poller is a Socket.IO client that polls over one connection, one request at a time.
type poller struct {
	conn    net.Conn
	answers *bufio.Reader
	sid     string
}

// comes begins a session over polling.
func comes(e *edge.Edge) (*poller, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.URL(), "http://"))
	if err != nil {
		return nil, err
	}
	p := &poller{conn: conn, answers: bufio.NewReader(conn)}
	open, err := p.asks(http.MethodGet, "")
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	_, sid, _ := strings.Cut(open, `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	p.sid = "&sid=" + sid
	return p, nil
}

// asks sends a request and returns the body of the answer.
func (p *poller) asks(method, body string) (string, error) {
	_, err := fmt.Fprintf(p.conn, "%s /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
		method, p.sid, len(body), body)
	if err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(p.answers, nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, text)
	}
	return string(text), err
}

// follows polls a session until the last of its commits has come, each event once and in order, and says good-bye.
func (p *poller) follows(plan *session, head, last int, joined func()) error {
	if _, err := p.asks(http.MethodPost, "40/graph,"+plan.named("")); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	version, number := head+1, 1
	for version <= last {
		body, err := p.asks(http.MethodGet, "")
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		packets := strings.Split(body, "\x1e")
		if len(packets) > 16 {
			return fmt.Errorf("%d packets in a response", len(packets))
		}
		for _, packet := range packets {
			switch {
			case strings.HasPrefix(packet, "40/graph,"):
				joined()
			case packet == "2":
				if _, err := p.asks(http.MethodPost, "3"); err != nil {
					return fmt.Errorf("pong: %w", err)
				}
			case strings.Contains(packet, "node-created"):
				if want := fmt.Sprintf(`"version":%d,"n":%d}]`, version, number); !strings.HasSuffix(packet, want) {
					return fmt.Errorf("got %s, want …%s", packet, want)
				}
				if number++; number > 3 {
					version, number = version+1, 1
				}
			}
		}
	}
	if _, err := p.asks(http.MethodPost, "1"); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}
