// Package arch_test holds the rules that the whole tree keeps: who may import what, and how things are named.
package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// pkg is what `go list -json` tells of one package.
type pkg struct {
	ImportPath, Name, Doc, Dir         string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

// name is the import path below the workspace's root, such as "pkg/graph".
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

// isTestOnly reports whether the package has nothing but test files.
func (p pkg) isTestOnly() bool { return len(p.GoFiles) == 0 }

// list runs go list once for all tests of this package.
var list = sync.OnceValues(func() ([]pkg, error) {
	out, err := golist("-json=ImportPath,Name,Doc,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports",
		"./pkg/...", "./services/command/...", "./services/edge/...", "./services/standalone/...", "./tests/...")
	if err != nil {
		return nil, err
	}
	var packages []pkg
	decoder := json.NewDecoder(strings.NewReader(out))
	for {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
})

// workspace returns every package of the workspace.
func workspace(t *testing.T) []pkg {
	t.Helper()
	packages, err := list()
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("found %d packages only: the rules would hold for nothing", len(packages))
	}
	return packages
}

// deps returns the import paths of everything that package path is built from.
func deps(t *testing.T, path string) []string {
	t.Helper()
	out, err := golist("-deps", path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(out)
}

// golist runs go list in the workspace's root.
func golist(args ...string) (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", errors.Join(err, errors.New(stderr.String()))
	}
	return string(out), nil
}
