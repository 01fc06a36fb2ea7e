package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/daemon"
)

type settings struct {
	Addr  string
	Count int
}

// echo is a service that says what it was configured with and ends as told.
func echo(end error) daemon.Program[settings] {
	return daemon.Program[settings]{
		Name:  "echo",
		About: "says its settings.",
		Addr:  ":8080",
		Read: func(r *config.Reader) settings {
			return settings{
				Addr:  r.String("TALUS_ADDR", ":8080", "address to listen on"),
				Count: r.Int("TALUS_COUNT", 3, 1, 9, "how many"),
			}
		},
		Run: func(ctx context.Context, cfg settings, p daemon.Process) error {
			p.Log.Info("running")
			fmt.Fprintf(p.Out, "%s %d", cfg.Addr, cfg.Count)
			return end
		},
	}
}

// execute runs the service with the given arguments and environment entries.
func execute(t *testing.T, p daemon.Program[settings], args []string, environ ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = daemon.Execute(t.Context(), p, daemon.System{
		Args:    args,
		Environ: environ,
		Getenv: func(name string) string {
			for _, entry := range environ {
				if value, ok := strings.CutPrefix(entry, name+"="); ok {
					return value
				}
			}
			return ""
		},
		Stdout: &out,
		Stderr: &errs,
	})
	return code, out.String(), errs.String()
}

func TestAServiceThatEndsWellExitsWithZero(t *testing.T) {
	t.Parallel()
	code, out, _ := execute(t, echo(nil), nil, "TALUS_COUNT=5")
	if code != 0 || out != ":8080 5" {
		t.Fatalf("got %d %q", code, out)
	}
}

func TestAServiceThatFailsSaysWhyAndExitsWithOne(t *testing.T) {
	t.Parallel()
	code, _, errs := execute(t, echo(errors.New("port in use")), nil)
	if code != 1 || !strings.HasSuffix(errs, "echo: port in use\n") {
		t.Fatalf("got %d %q", code, errs)
	}
}

func TestBadSettingsStopTheStartAndAreAllNamed(t *testing.T) {
	t.Parallel()
	code, out, errs := execute(t, echo(nil), nil, "TALUS_COUNT=ten", "TALUS_LOG_LEVEL=loud")
	if code != 2 || out != "" || !strings.Contains(errs, "TALUS_COUNT=") || !strings.Contains(errs, "TALUS_LOG_LEVEL=") {
		t.Fatalf("got %d %q %q", code, out, errs)
	}
}

func TestAMisspelledSettingIsWarnedOf(t *testing.T) {
	t.Parallel()
	code, _, errs := execute(t, echo(nil), nil, "TALUS_CUONT=5", "TALUS_TEST_REDIS_URL=x")
	if code != 0 || !strings.Contains(errs, "TALUS_CUONT") || !strings.Contains(errs, `"nearest":"TALUS_COUNT"`) || strings.Contains(errs, "TALUS_TEST") {
		t.Fatalf("got %d %q", code, errs)
	}
}

func TestHelpListsEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--help", "-h", "help"} {
		code, out, _ := execute(t, echo(nil), []string{arg})
		for _, want := range []string{"says its settings.", "TALUS_COUNT", "TALUS_LOG_FORMAT", ":8080", "health"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s: %d, %q is missing in:\n%s", arg, code, want, out)
			}
		}
	}
}

func TestUnknownArgumentsAreMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve"}, {"health", "now"}} {
		if code, _, errs := execute(t, echo(nil), args); code != 2 || !strings.Contains(errs, "--help") {
			t.Errorf("%q: got %d %q", args, code, errs)
		}
	}
}

func TestHealthAsksTheInstanceOnThisMachine(t *testing.T) {
	t.Parallel()
	ready := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(ready)
		fmt.Fprint(w, "draining")
	}))
	addr := strings.TrimPrefix(server.URL, "http://127.0.0.1")

	if code, _, errs := execute(t, echo(nil), []string{"health"}, "TALUS_ADDR="+addr); code != 0 {
		t.Errorf("ready: got %d %q", code, errs)
	}
	if code, _, errs := execute(t, echo(nil), []string{"health"}, "TALUS_ADDR=0.0.0.0"+addr); code != 0 {
		t.Errorf("ready, unspecified host: got %d %q", code, errs)
	}
	ready = http.StatusServiceUnavailable
	if code, _, errs := execute(t, echo(nil), []string{"health"}, "TALUS_ADDR="+addr); code != 1 || !strings.Contains(errs, "draining") {
		t.Errorf("not ready: got %d %q", code, errs)
	}
	server.Close()
	if code, _, errs := execute(t, echo(nil), []string{"health"}, "TALUS_ADDR="+addr); code != 1 || !strings.Contains(errs, "not reachable") {
		t.Errorf("away: got %d %q", code, errs)
	}
	if code, _, _ := execute(t, echo(nil), []string{"health"}, "TALUS_ADDR=nonsense"); code != 1 {
		t.Errorf("bad address: got %d", code)
	}
}

// The heap seems larger by the ballast while the service runs, unless the operator decides when the collector runs.
func TestBallastMovesTheCollectorsGoal(t *testing.T) { // not parallel: it reads the whole process' heap
	const ballast = 256 << 20
	goal := func(environ ...string) uint64 {
		p := echo(nil)
		p.Ballast = ballast
		sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
		p.Run = func(context.Context, settings, daemon.Process) error {
			runtime.GC()
			metrics.Read(sample)
			return nil
		}
		execute(t, p, nil, environ...)
		return sample[0].Value.Uint64()
	}

	if got := goal(); got < 2*ballast {
		t.Errorf("the collector runs at %d bytes", got)
	}
	if got := goal("GOGC=100"); got >= ballast {
		t.Errorf("with GOGC set, the collector runs at %d bytes", got)
	}
}
