package drive_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/talus-tally/talus/tests/load/drive"
)

// serve runs a server and returns its host:port.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func get(dst []byte, _ int, _ int64) []byte {
	return append(dst, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...)
}

func TestAStallIsChargedToAllCommandsThatWereDueMeanwhile(t *testing.T) {
	t.Parallel()
	const stall, commands = 60 * time.Millisecond, 20
	var calls atomic.Int32
	addr := serve(t, func(http.ResponseWriter, *http.Request) {
		if calls.Add(1) == 1 {
			<-time.After(stall)
		}
	})

	o := drive.Run(t.Context(), drive.Plan{Addr: addr, Callers: 1, Rate: 1000, For: commands * time.Millisecond, Next: get})

	if o.Sent != commands || o.Failed+o.Refused != 0 {
		t.Fatalf("%+v", o)
	}
	if first := time.Duration(o.Latency.ValueAtPercentile(1)); first < stall-commands*time.Millisecond {
		t.Errorf("a command counts %v, although all were due in the stall of %v", first, stall)
	}
}

func TestAClosedLoopSendsUntilItsTimeIsOver(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "yes") })
	var took atomic.Int64

	o := drive.Run(t.Context(), drive.Plan{Addr: addr, Callers: 4, For: 50 * time.Millisecond, Next: get, Took: func(_ int, body []byte) {
		if string(body) == "yes" {
			took.Add(1)
		}
	}})

	if o.Sent == 0 || uint64(took.Load()) != o.Sent || o.Rate() <= 0 {
		t.Errorf("%+v, %d answers", o, took.Load())
	}
}

func TestRefusalsAndFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		panic(http.ErrAbortHandler)
	})
	plan := drive.Plan{Addr: addr, Callers: 2, Rate: 1000, For: 10 * time.Millisecond, Next: func(dst []byte, i int, _ int64) []byte {
		return append(dst, "GET "+[]string{"/refuse", "/fail"}[i%2]+" HTTP/1.1\r\nHost: x\r\n\r\n"...)
	}}
	if o := drive.Run(t.Context(), plan); o.Refused != 5 || o.Failed != 5 || o.First == nil {
		t.Errorf("%+v", o)
	}
}
