package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/telemetry"
)

func TestLogsAreJSONWhereNobodyWatches(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := telemetry.NewLogger(telemetry.LogConfig{Level: slog.LevelInfo, Format: "auto"}, &out)

	log.Debug("hidden")
	log.Info("seen", "n", 1)

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	stamp, _ := line["time"].(string)
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || !strings.HasSuffix(stamp, "Z") {
		t.Errorf("time %q is not in UTC", stamp)
	}
	if line["msg"] != "seen" || line["n"] != float64(1) {
		t.Errorf("got %v", line)
	}
}

func TestTheFormatCanBeChosen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	telemetry.NewLogger(telemetry.LogConfig{Format: "text"}, &out).Info("seen", "n", 1)
	if !strings.Contains(out.String(), "msg=seen n=1") {
		t.Fatalf("got %q", out.String())
	}
}

func TestAFileIsNotATerminal(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	telemetry.NewLogger(telemetry.LogConfig{Format: "auto"}, f).Info("seen")

	got, err := os.ReadFile(f.Name())
	if err != nil || !bytes.HasPrefix(got, []byte("{")) {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestLevelsAreReadFromTheEnvironment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{
		"": slog.LevelInfo, "debug": slog.LevelDebug, "WARN": slog.LevelWarn, "error": slog.LevelError,
	} {
		r := config.From(func(name string) string {
			if name == "TALUS_LOG_LEVEL" {
				return text
			}
			return ""
		})
		got := telemetry.ReadLogConfig(r)
		if got.Level != want || got.Format != "auto" || r.Err() != nil {
			t.Errorf("%q: got %+v, %v", text, got, r.Err())
		}
	}
}
