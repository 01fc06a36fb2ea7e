package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// base is the address that the README's examples speak to; the tests put another in its place.
const base = "http://127.0.0.1:8080"

// example is the text of a fenced block of the README: the first one of that language after a heading or marker.
func example(t *testing.T, after, language string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), after)
	_, rest, opened := strings.Cut(rest, "```"+language+"\n")
	text, _, closed := strings.Cut(rest, "\n```")
	if !found || !opened || !closed {
		t.Fatalf("the README has no %s block after %q", language, after)
	}
	return text
}

func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		redistest.Missing(t, "no "+program+" on this machine")
	}
	return path
}

// masked replaces what differs from run to run.
func masked(text string) string {
	for _, m := range []struct{ pattern, with string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "<id>"},
		{`\b[0-9a-f]{16}\b`, "<digest>"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`, "<time>"},
	} {
		text = regexp.MustCompile(m.pattern).ReplaceAllString(text, m.with)
	}
	return text
}

func TestTheSessionInTheREADMEPrintsWhatItShows(t *testing.T) {
	t.Parallel()
	bash := need(t, "bash")
	need(t, "curl")
	standalone := harness.Spawn(t, "standalone", nil)
	var script []string
	var shown []string
	for line := range strings.Lines(example(t, "<!-- session -->", "console")) {
		line = strings.TrimSuffix(line, "\n")
		if command, is := strings.CutPrefix(line, "$ "); is {
			script = append(script, strings.ReplaceAll(command, base, standalone.URL), "echo")
		} else if line != "" {
			shown = append(shown, masked(line))
		}
	}

	cmd := exec.Command(bash, "-c", strings.Join(script, "\n"))
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	var printed []string
	for _, line := range strings.Split(string(out), "\n") {
		if line != "" {
			printed = append(printed, masked(strings.ReplaceAll(line, standalone.URL, base)))
		}
	}
	if len(printed) != len(shown) {
		t.Fatalf("it printed %d lines, the README shows %d:\n%s", len(printed), len(shown), strings.Join(printed, "\n"))
	}
	for i, want := range shown {
		prefix, cut := strings.CutSuffix(want, "…")
		if got := printed[i]; got != want && !(cut && strings.HasPrefix(got, prefix)) {
			t.Errorf("line %d\nprints %s\nshows  %s", i+1, got, want)
		}
	}
}

func TestTheJavaScriptClientInTheREADMERuns(t *testing.T) {
	t.Parallel()
	node := need(t, "node")
	standalone := harness.Spawn(t, "standalone", nil)
	code := strings.ReplaceAll(example(t, "### JavaScript", "js"), "127.0.0.1:8080", strings.TrimPrefix(standalone.URL, "http://"))
	file := filepath.Join(t.TempDir(), "client.mjs")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}

	out, err := exec.Command(node, "--experimental-websocket", "--no-warnings", file).CombinedOutput()

	if want := example(t, "### JavaScript", "text"); err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("%v\nprints\n%s\nshows\n%s", err, out, want)
	}
}

func TestTheGoClientInTheREADMERuns(t *testing.T) {
	t.Parallel()
	standalone := harness.Spawn(t, "standalone", nil)
	code := strings.ReplaceAll(example(t, "### Go", "go"), "127.0.0.1:8080", strings.TrimPrefix(standalone.URL, "http://"))
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}

	out, err := exec.Command("go", "run", file).CombinedOutput() // in this folder, so that its imports are found

	if want := example(t, "### Go", "text"); err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("%v\nprints\n%s\nshows\n%s", err, out, want)
	}
}
