package commands_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/commands"
)

// start runs a service in front of handle until the test ends or stop is called.
func start(t *testing.T, cfg commands.Config, handle http.HandlerFunc) (s *commands.Service, stop func()) {
	t.Helper()
	if handle != nil {
		server := httptest.NewServer(handle)
		t.Cleanup(server.Close)
		cfg.URL = server.URL
	}
	cfg.Problem = func(code wire.Code, message string) []byte { return fmt.Appendf(nil, "%s: %s", code, message) }
	s = commands.New(cfg, prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return s, stop
}

// echo answers with the body.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.Copy(w, r.Body)
}

func command(t *testing.T, n int) commands.Request {
	t.Helper()
	r, err := commands.Parse(fmt.Appendf(nil, `{"data":%d}`, n))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do sends a command and returns where the answer will be.
func do(l *commands.Lane, r commands.Request) chan commands.Answer {
	answer := make(chan commands.Answer, 2)
	l.Do(r, func(a commands.Answer) { answer <- a })
	return answer
}

func TestManyLanesShareTheWorkersAndEachKeepsItsOrder(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	s, _ := start(t, commands.Config{Workers: 3}, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		echo(w, r)
		now.Add(-1)
	})
	const lanes, each = 20, 10
	var mu sync.Mutex
	got := make([][]string, lanes)
	var answered sync.WaitGroup

	for i := range lanes {
		lane := s.Lane()
		for n := range each {
			answered.Add(1)
			lane.Do(command(t, n), func(a commands.Answer) {
				defer answered.Done()
				mu.Lock()
				defer mu.Unlock()
				got[i] = append(got[i], string(a.Body))
			})
		}
	}
	answered.Wait()

	var want []string
	for n := range each {
		want = append(want, fmt.Sprintf(`{"data":%d}`, n))
	}
	for i := range got {
		if !slices.Equal(got[i], want) {
			t.Errorf("lane %d: %q", i, got[i])
		}
	}
	if most.Load() > 3 {
		t.Errorf("%d commands were carried out at a time, of 3", most.Load())
	}
}

func TestTooManyCommandsAreRefusedAndTheOthersCarriedOut(t *testing.T) {
	t.Parallel()
	gate, begun := make(chan struct{}), make(chan struct{}, 10)
	s, _ := start(t, commands.Config{Workers: 1, Waiting: 3, PerLane: 2}, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-gate
		echo(w, r)
	})
	a, b := s.Lane(), s.Lane()
	first := do(a, command(t, 1))
	<-begun

	taken := []chan commands.Answer{first, do(a, command(t, 2)), do(a, command(t, 3)), do(b, command(t, 4))}
	ofLane, ofAll := <-do(a, command(t, 5)), <-do(b, command(t, 6))
	close(gate)

	refusesMore(t, ofLane, ofAll, taken)
}

// refusesMore wants the commands beyond the bounds of their lane and of all to be refused, and the others to be carried out.
func refusesMore(t *testing.T, ofLane, ofAll commands.Answer, taken []chan commands.Answer) {
	t.Helper()
	if ofLane.Status != http.StatusTooManyRequests || ofAll.Status != http.StatusServiceUnavailable {
		t.Errorf("refused with %d and %d", ofLane.Status, ofAll.Status)
	}
	for i, answer := range taken {
		if got := <-answer; got.Status != http.StatusOK {
			t.Errorf("command %d: %+v", i+1, got)
		}
	}
}

func TestCommandsThatWaitAreBoundedInBytesToo(t *testing.T) {
	t.Parallel()
	gate, begun := make(chan struct{}), make(chan struct{}, 10)
	s, _ := start(t, commands.Config{Workers: 1, Bytes: 100, LaneBytes: 80}, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-gate
		echo(w, r)
	})
	of := func(size int) commands.Request {
		r, err := commands.Parse([]byte(`{"data":"` + strings.Repeat("x", size-len(`{"data":""}`)) + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := s.Lane(), s.Lane()
	first := do(a, of(40))
	<-begun // what is carried out counts, too

	taken := []chan commands.Answer{first, do(a, of(40)), do(b, of(20))}
	ofLane, ofAll := <-do(a, of(20)), <-do(b, of(20))
	close(gate)

	refusesMore(t, ofLane, ofAll, taken)
	for range 3 { // and there is room again
		if got := <-do(a, of(80)); got.Status != http.StatusOK {
			t.Errorf("afterwards: %+v", got)
		}
	}
}

func TestWithoutTheServiceCommandsAreRefusedSoThatTheyCanBeRepeated(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]struct {
		commands.Config
		handle http.HandlerFunc
	}{
		"nobody listens": {Config: commands.Config{URL: "http://127.0.0.1:1"}},
		"nobody answers": {Config: commands.Config{Timeout: 50 * time.Millisecond}, handle: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
		"a proxy answers": {handle: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }},
		"half an answer": {handle: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := start(t, cfg.Config, cfg.handle)

			got := <-do(s.Lane(), command(t, 1))

			if got.Status != http.StatusServiceUnavailable || !strings.HasPrefix(string(got.Body), string(wire.Unavailable)) {
				t.Errorf("answered %d %s", got.Status, got.Body)
			}
		})
	}
}

func TestAStopAnswersEveryCommandOnceAndLeavesNoWorker(t *testing.T) {
	before := runtime.NumGoroutine()
	s, stop := start(t, commands.Config{Workers: 2}, nil)
	var answers []chan commands.Answer
	for n := range 50 {
		answers = append(answers, do(s.Lane(), command(t, n)))
	}

	stop()
	answers = append(answers, do(s.Lane(), command(t, 50)))

	for i, answer := range answers {
		if len(answer) != 1 {
			t.Errorf("command %d was answered %d times", i, len(answer))
		}
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before there were %d", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

func TestWhatIsNoCommandIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "null", "[]", "5", `"x"`, "{", `{"return":"everything"}`, `{"actor":1}`, `{"if_match":{}}`,
		`{"actor":"a\nb"}`, `{"actor":"a\u0000"}`, `{"actor":"\u007f"}`, `{"actor":"a\tb"}`, `{"if_match":"x\r\nX-Actor: root"}`,
		`{"actor":"` + strings.Repeat("a", 3000) + `"}`,
	} {
		if _, err := commands.Parse([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestTheNamesOfMembersAreCaseExact(t *testing.T) {
	t.Parallel()
	s, _ := start(t, commands.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s|%s|%s|%s", body, r.Header.Get("X-Actor"), r.Header.Get("If-Match"), r.Header.Get("Prefer"))
	})
	for text, want := range map[string]string{
		`{"Session_ID":"s","DATA":1,"Command_Type":"t","ACTOR":"ann","If_Match":"m","Return":"graph"}`:                           `{}|||return=minimal`,
		`{"data":1,"Data":2,"session_id":"s","command_type":"t","command_id":"c","actor":"ann","if_match":"m","return":"graph"}`: `{"session_id":"s","command_type":"t","command_id":"c","data":1}|ann|m|`,
		`{"actor":null,"ACTOR":3,"data":null}`: `{"data":null}|||return=minimal`,
	} {
		request, err := commands.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := <-do(s.Lane(), request); string(got.Body) != want {
			t.Errorf("%s: sent %s, want %s", text, got.Body, want)
		}
	}
}
