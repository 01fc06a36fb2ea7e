package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/chaos/check"
	"github.com/talus-tally/talus/tests/harness"
)

func TestACheckOfADeploymentAndItsHistoryAgree(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
	file := filepath.Join(t.TempDir(), "h.jsonl.gz")
	var live, again strings.Builder

	kept, err := run(t.Context(), []string{"-command", sys.Command(0).URL, "-edge", sys.Edge(0).URL, "-redis", sys.RedisURL, "-sessions", "2",
		"-clients", "2", "-for", "1s", "-seed", "5", "-few", "-history", file}, &live)
	if err != nil || !kept {
		t.Fatalf("%v, %v:\n%s", kept, err, live.String())
	}
	kept, err = run(t.Context(), []string{"-check", file, "-few", "-json"}, &again)
	if err != nil || !kept {
		t.Fatalf("%v, %v:\n%s", kept, err, again.String())
	}

	var v check.Verdict
	if err := json.Unmarshal([]byte(again.String()), &v); err != nil || !v.Passed || v.Commits == 0 || !strings.HasPrefix(v.Run, "seed 5:") {
		t.Errorf("%v: %+v", err, v)
	}
	if text := live.String(); !strings.HasSuffix(text, "PASS\n") || !strings.Contains(text, "C18") {
		t.Errorf("the table:\n%s", text)
	}
}

func TestTooLittleIsNotEnough(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder

	kept, err := run(t.Context(), []string{"-check", file}, &text)

	if kept || err != nil || !strings.Contains(text.String(), "prove nothing") {
		t.Errorf("%v, %v:\n%s", kept, err, text.String())
	}
}

func TestWhatCannotBeCheckedIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"-nonsense"}, {"-check", "/nowhere/h.jsonl"}, {"-command", "http://127.0.0.1:1", "-sessions", "1"},
		{"-command", "http://127.0.0.1:1", "-redis", "nothing"}, {"-command", "http://127.0.0.1:1", "-history", "/nowhere/h.jsonl"},
	} {
		if kept, err := run(t.Context(), args, new(strings.Builder)); kept || err == nil {
			t.Errorf("%v: %v, %v", args, kept, err)
		}
	}
	if _, err := run(t.Context(), []string{"-help"}, new(strings.Builder)); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
}
