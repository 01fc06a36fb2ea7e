package fault_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/chaos/fault"
)

func ids(t *testing.T, names string) []string {
	t.Helper()
	faults, err := fault.Choose(names)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range faults {
		all = append(all, f.ID)
	}
	return all
}

func TestFaultsAreChosenByNameNumberOrList(t *testing.T) {
	t.Parallel()
	for names, want := range map[string][]string{
		"F1":                {"F1"},
		"F6":                {"F6-always", "F6-everysec", "F6-none"},
		"F9-half,F4-kill":   {"F9-half", "F4-kill"},
		"F23":               {"F23"},
		"F24":               {"F24-disk", "F24-snapshot"},
		fault.Smoke()[0]:    {fault.Smoke()[0]},
		"F2,F20,F10-buffer": {"F2", "F20", "F10-buffer"},
	} {
		if got := ids(t, names); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", names, got, want)
		}
	}
	if got := ids(t, "smoke"); !slices.Equal(got, fault.Smoke()) || len(got) < 6 {
		t.Errorf("smoke: %v", got)
	}
	if _, err := fault.Choose("F99"); err == nil {
		t.Error("F99 was found")
	}
}

func TestTheListNamesEachFaultOnceAndCoversTheKinds(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	seen := map[string]bool{}
	for _, f := range fault.All() {
		if seen[f.ID] || f.Title == "" || f.Hold <= 0 || f.Inject == nil {
			t.Errorf("%s: it is there twice, or not whole", f.ID)
		}
		if f.Erases && !f.Loses || f.Keeps && f.Loses {
			t.Errorf("%s: what it may cost contradicts itself", f.ID)
		}
		seen[f.ID] = true
		kind, _, _ := strings.Cut(f.ID, "-")
		kinds[kind] = true
	}
	if len(kinds) < 18 {
		t.Errorf("%d kinds of fault, want 18 at least", len(kinds))
	}
}

func TestARowTellsWhatHappened(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		result fault.Result
		want   string
	}{
		{fault.Result{Fault: "F1", Seed: 2, Passed: true, Current: []float64{0.2, 1.26}}, "| 1.3 | 0 | pass |"},
		{fault.Result{Fault: "F8", Passed: true, Loses: true, Current: []float64{-1}}, "| never | 0 | pass (loss detected) |"},
		{fault.Result{Fault: "F24", Skipped: "a disk"}, "| – | 0 | not run: a disk |"},
		{fault.Result{Fault: "F2", Lost: 3}, "**FAIL** |"},
	} {
		if got := c.result.Row(); !strings.Contains(got, c.want) {
			t.Errorf("row %s has no %q", got, c.want)
		}
	}
}
