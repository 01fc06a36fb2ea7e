package edge_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

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
