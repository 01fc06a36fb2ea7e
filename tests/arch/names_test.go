package arch_test

import (
	"slices"
	"strings"
	"testing"
)

func TestPackagesAndFilesAreNamedAfterConcepts(t *testing.T) {
	t.Parallel()
	packages := []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "misc", "shared", "base", "lib"}
	files := []string{"util", "utils", "common", "helper", "helpers", "models", "types", "misc"}
	for _, p := range workspace(t) {
		if slices.Contains(packages, p.Name) {
			t.Errorf("package %s: name it after what it is about", p.name())
		}
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			stem := strings.TrimSuffix(strings.TrimSuffix(file, ".go"), "_test")
			if slices.Contains(files, stem) {
				t.Errorf("%s/%s: name it after the concept it holds", p.name(), file)
			}
		}
	}
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	t.Parallel()
	for _, p := range workspace(t) {
		if len(p.GoFiles) > 0 && p.Name != "main" && p.Doc == "" {
			t.Errorf("package %s has no comment", p.name())
		}
	}
}

func TestPackagesMatchTheirFolders(t *testing.T) {
	t.Parallel()
	for _, p := range workspace(t) {
		folder := p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:]
		if p.Name != "main" && p.Name != folder && len(p.GoFiles) > 0 {
			t.Errorf("%s holds package %s", p.name(), p.Name)
		}
	}
}
