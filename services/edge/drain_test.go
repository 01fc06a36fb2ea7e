package edge_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

// hears reads the frames of a connection until its end and returns how it ended.
func hears(conn *websocket.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				ended <- err
				return
			}
		}
	}()
	return ended
}

func TestAStoppingEdgeServesOnUntilLoadBalancersHaveNoticed(t *testing.T) {
	t.Parallel()
	const delay = time.Second
	e, stop := serve(t, edge.Config{DrainDelay: delay})
	plan := creates(t, redistest.URL(t))
	ann := plan.dial(e, "")
	read(t, ann)
	stopped := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(stopped)
		stop()
	}()

	eventually(t, "it is not ready", func() bool {
		status, body := get(t, e.URL()+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "draining")
	})
	ben := plan.dial(e, "")
	read(t, ben)
	plan.commits(1)
	commitsFrom(t, ann, 1, 1)
	commitsFrom(t, ben, 1, 1)
	left := []<-chan error{hears(ann), hears(ben)}
	<-stopped

	if took := time.Since(began); took < delay {
		t.Errorf("stopped after %v", took)
	}
	for _, end := range left {
		if err := <-end; websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("sent away with %v", err)
		}
	}
}

func TestADrainingEdgeRefusesConnectionsAndJoins(t *testing.T) {
	t.Parallel()
	e, stop := serve(t, edge.Config{Drain: 5 * time.Second})
	plan := creates(t, redistest.URL(t))
	var ends []<-chan error
	for range 300 { // enough to keep the drain busy for three seconds
		ends = append(ends, hears(dials(t, e)))
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()

	eventually(t, "an upgrade is refused", func() bool {
		_, res := knocks(t, e, nil)
		return res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != ""
	})
	if status, _ := get(t, e.URL()+"/sse?session_id="+plan.id.String()); status != http.StatusServiceUnavailable {
		t.Errorf("a stream is answered with %d", status)
	}
	if status, _ := get(t, e.URL()+"/livez"); status != http.StatusOK {
		t.Errorf("livez %d", status)
	}
	if _, body := get(t, e.URL()+"/metrics"); !strings.Contains(body, `talus_edge_refused_total{reason="draining"} `) {
		t.Error("no refusal is counted")
	}
	<-stopped

	for _, end := range ends {
		if err := <-end; websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("sent away with %v", err)
		}
	}
}

func TestAClientThatTakesNothingDoesNotHoldUpADrain(t *testing.T) {
	t.Parallel()
	const drain = time.Second
	e, stop := serve(t, edge.Config{Drain: drain})
	plan := creates(t, redistest.URL(t))
	ann := plan.dial(e, "")
	read(t, ann)
	for range 60 {
		if err := plan.commit(t.Context(), 60_000); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()

	stop()

	if took := time.Since(began); took > 2*drain {
		t.Errorf("the drain took %v", took)
	}
}

// What an edge had counted is taken out of Redis, not left to the end of its lease.
func TestNothingOfAnEdgeIsCountedAfterItsDrain(t *testing.T) {
	t.Parallel()
	e, stop := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	rdb := redistest.Client(t, redistest.URL(t))
	entries := func() (n int) {
		keys, err := rdb.Keys(t.Context(), "talus:*"+plan.id.String()+":p").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			for _, field := range rdb.HKeys(t.Context(), key).Val() {
				if !strings.HasPrefix(field, "#") { // numbers stay: of the newest announcement, and of what edges said last
					n++
				}
			}
		}
		return n
	}
	for range 5 {
		conn := plan.dial(e, "")
		read(t, conn)
		hears(conn)
	}
	eventually(t, "they are counted", func() bool { return entries() == 1 })

	stop()

	if n := entries(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

func TestAConnectionThatWasOpenedInAdvanceDoesNotHoldUpAStop(t *testing.T) {
	t.Parallel()
	e, stop := serve(t, edge.Config{})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if status, _ := get(t, e.URL()+"/livez"); status != http.StatusOK { // on a connection that is accepted after the first
		t.Fatalf("status %d", status)
	}

	stop() // fails the test if anything is still open after a second
}

// A poll waits for longer than a stop may take. Its client comes back when it gets an error.
func TestAStoppingEdgeEndsThePollsThatItPassesOn(t *testing.T) {
	t.Parallel()
	a, stop := serve(t, edge.Config{Drain: 100 * time.Millisecond})
	b, _ := serve(t, edge.Config{})
	const pollers = 20
	answers := make(chan string, pollers)
	for range pollers {
		sid := polls(t, b)
		go func() {
			_, body := request(t, a, http.MethodGet, "&sid="+sid, "")
			answers <- body
		}()
	}
	eventually(t, "all polls have reached their edge", func() bool {
		_, body := get(t, b.URL()+"/metrics")
		return strings.Contains(body, "\ntalus_engineio_polls_total 20\n")
	})

	stop() // fails the test if a request was cut off

	for range pollers {
		if got := <-answers; got != unknownSession {
			t.Errorf("a poll is answered with %s", got)
		}
	}
}

// Another edge has accepted a connection and is silent: neither a poll nor an upgrade waits for it when the edge stops.
func TestAStoppingEdgeWaitsForNoSilentOne(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	const other = "AAAAAAAAAAAA"
	log := eventlog.New(redistest.Client(t, redistest.URL(t)), eventlog.Config{})
	if _, err := log.Register(t.Context(), other, silent.Addr().String(), time.Minute, []byte("a secret of sixteen")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Unregister(context.Background(), other) })
	e, stop := serve(t, edge.Config{Drain: 100 * time.Millisecond})
	answered := make(chan struct{}, 2)
	go func() {
		request(t, e, http.MethodGet, "&sid="+other+"x", "")
		answered <- struct{}{}
	}()
	go func() {
		conn, _, err := websocket.Dial(t.Context(), e.URL()+"/socket.io/?EIO=4&transport=websocket&sid="+other+"y", nil)
		if err == nil {
			_ = conn.CloseNow()
			t.Error("an upgrade succeeds")
		}
		answered <- struct{}{}
	}()
	for range 2 { // both are waiting
		if tcp, ok := silent.(*net.TCPListener); ok {
			_ = tcp.SetDeadline(time.Now().Add(10 * time.Second))
		}
		conn, err := silent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}

	stop()

	<-answered
	<-answered
}
