package arch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the path that all modules of the workspace share.
const module = "github.com/talus-tally/talus/"

// rule says which packages may import what is restricted.
type rule struct {
	reason  string
	imports func(path string) bool // the restricted packages
	allowed []string               // package paths below module; "…/..." includes what is below
	suites  bool                   // packages of tests for other packages (…test) may, too
	tests   bool                   // whether the rule binds test files, too
}

func rules() []rule {
	return []rule{
		{
			reason:  "only the edges of a service speak HTTP through Fiber",
			imports: under("github.com/gofiber/", "github.com/valyala/fasthttp", "github.com/fasthttp/"),
			allowed: []string{
				"services/command", "services/command/internal/httpapi/...",
				"services/edge", "services/edge/internal/socket/...", "services/edge/internal/engineio/...",
				"services/edge/internal/sse/...", "services/edge/internal/native/...", "services/edge/internal/relay/...",
				"services/standalone",
			},
		},
		{
			reason:  "Redis is spoken by the event log, presence, the project store and the composition roots",
			imports: under("github.com/redis/go-redis"),
			allowed: []string{
				"pkg/eventlog/...", "pkg/redistest/...",
				"services/command", "services/command/internal/project/...",
				"services/edge", "services/edge/internal/presence/...",
				"services/standalone/...", "tests/...",
			},
		},
		{
			reason:  "a fake Redis is for tests and for standalone",
			imports: under("github.com/alicebob/miniredis"),
			allowed: []string{"services/standalone/internal/embedded"},
			suites:  true,
		},
		{
			reason:  "containers and state machines are for tests",
			imports: under("github.com/testcontainers/", "pgregory.net/rapid", "testing"),
			allowed: []string{"tests/..."},
			suites:  true,
		},
		{
			reason:  "SQLite is one of the project stores",
			imports: under("modernc.org/sqlite", "database/sql"),
			allowed: []string{"services/command/internal/project/..."},
		},
		{
			reason:  "the services meet in standalone and in the tests only",
			imports: under(module + "services/"),
			allowed: []string{"services/standalone/...", "tests/..."},
		},
		{
			reason:  "tests import the program, never the other way round",
			imports: under(module + "tests"),
			allowed: []string{"tests/..."},
			tests:   true,
		},
	}
}

func TestEachDependencyIsUsedOnlyWhereItBelongs(t *testing.T) {
	t.Parallel()
	for _, p := range workspace(t) {
		for _, r := range rules() {
			if p.isTestOnly() || within(p.name(), r.allowed) || r.suites && strings.HasSuffix(p.Name, "test") {
				continue
			}
			paths := p.Imports
			if r.tests {
				paths = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
			}
			for _, path := range paths {
				if r.imports(path) && !sameService(p.ImportPath, path) {
					t.Errorf("%s imports %s: %s", p.name(), path, r.reason)
				}
			}
		}
	}
}

func TestTheDomainAndTheProtocolNeedTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, p := range pure(t) {
		for _, path := range p.Imports {
			if thirdParty(path) && path != "github.com/google/uuid" {
				t.Errorf("%s imports %s", p.name(), path)
			}
			if slices.Contains([]string{"math/rand", "math/rand/v2", "crypto/rand", "net", "net/http", "os", "io/fs", "log", "log/slog"}, path) {
				t.Errorf("%s imports %s: no I/O and no randomness", p.name(), path)
			}
		}
	}
}

func TestTheDomainAndTheProtocolReadNoClockAndDrawNoIds(t *testing.T) {
	t.Parallel()
	for _, p := range pure(t) {
		for _, file := range p.GoFiles {
			source, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Since(", "time.After(", "uuid.New(", "uuid.NewString(", "uuid.NewV7(", "uuid.NewRandom("} {
				if strings.Contains(string(source), call) {
					t.Errorf("%s/%s calls %s…): ids and times come in with the command", p.name(), file, call)
				}
			}
		}
	}
}

// pure returns the packages that decide and encode without the world.
func pure(t *testing.T) []pkg {
	t.Helper()
	var packages []pkg
	for _, p := range workspace(t) {
		if p.name() == "pkg/graph" || p.name() == "pkg/wire" {
			packages = append(packages, p)
		}
	}
	if len(packages) != 2 {
		t.Fatalf("found %d of the two pure packages", len(packages))
	}
	return packages
}

func TestNothingImportsAgainstTheDirection(t *testing.T) {
	t.Parallel()
	// each package and what it must not import, so that arrows point from the outside to the domain
	against := map[string][]string{
		"pkg/graph":                         {"pkg/..."},
		"pkg/wire":                          {"pkg/..."},
		"pkg/blueprint":                     {"pkg/eventlog", "pkg/wire", "pkg/telemetry"},
		"pkg/eventlog":                      {"pkg/graph", "pkg/blueprint", "pkg/telemetry"},
		"services/command/internal/session": {"services/command/internal/httpapi", "services/command"},
		"services/command/internal/project": {"services/command/internal/httpapi", "services/command/internal/session", "services/command"},
		"services/command/internal/httpapi": {"services/command"},
		"services/edge/internal/hub":        {"services/edge/internal/socket", "services/edge/internal/native", "services/edge/internal/sse", "services/edge/internal/presence", "services/edge"},
		"services/edge/internal/socket":     {"services/edge/internal/hub", "services/edge/internal/native", "services/edge/internal/sse", "services/edge/internal/presence", "services/edge", "pkg/eventlog", "pkg/graph"},
		"services/edge/internal/native":     {"services/edge/internal/sse", "services/edge"},
		"services/edge/internal/sse":        {"services/edge"},
		"services/edge/internal/presence":   {"services/edge/internal/socket", "services/edge/internal/native", "services/edge/internal/sse", "services/edge"},
	}
	for _, p := range workspace(t) {
		for _, path := range p.Imports {
			name, ours := strings.CutPrefix(path, module)
			if ours && name != p.name() && within(name, against[p.name()]) {
				t.Errorf("%s must not import %s", p.name(), name)
			}
		}
	}
}

func TestTheServicesCarryNoTestCode(t *testing.T) {
	t.Parallel()
	for service, foreign := range map[string][]string{
		"services/command":    {"github.com/testcontainers", "github.com/alicebob/miniredis", "pgregory.net/rapid", module + "services/edge", module + "tests"},
		"services/edge":       {"github.com/testcontainers", "github.com/alicebob/miniredis", "pgregory.net/rapid", "modernc.org", module + "pkg/graph", module + "services/command", module + "tests"},
		"services/standalone": {"github.com/testcontainers", "pgregory.net/rapid", module + "tests"},
	} {
		binary := module + service + "/cmd/" + service[strings.LastIndex(service, "/")+1:]
		for _, path := range deps(t, binary) {
			if under(foreign...)(path) {
				t.Errorf("%s needs %s", binary, path)
			}
		}
	}
}

// under reports of a path whether it is one of roots or below one.
func under(roots ...string) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(roots, func(root string) bool {
			root = strings.TrimSuffix(root, "/")
			return path == root || strings.HasPrefix(path, root+"/")
		})
	}
}

// within reports whether name is among patterns; a pattern that ends in "/..." also means what is below it.
func within(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		root, deep := strings.CutSuffix(pattern, "/...")
		return name == root || deep && strings.HasPrefix(name, root+"/")
	})
}

// sameService reports whether both paths belong to one service, which may of course import itself.
func sameService(a, b string) bool {
	return strings.HasPrefix(a, module+"services/") && strings.HasPrefix(b, module+"services/") && service(a) == service(b)
}

func service(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, module+"services/"), "/")
	return name
}

// thirdParty reports whether path is outside the standard library: its first part has a dot.
func thirdParty(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}
