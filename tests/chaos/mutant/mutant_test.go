package mutant_test

import (
	"slices"
	"testing"

	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/tests/chaos/mutant"
)

func TestEachPlantedBugHasARun(t *testing.T) {
	t.Parallel()
	var bugs []planted.Bug
	for _, m := range mutant.All() {
		if m.What == "" {
			t.Errorf("nothing is said of %s", m.Bug)
		}
		bugs = append(bugs, m.Bug)
	}
	if !slices.Equal(bugs, planted.All()) {
		t.Errorf("there are runs for %v, and the bugs %v", bugs, planted.All())
	}
}

func TestAProgramWithoutTheTagHasNoBug(t *testing.T) {
	t.Setenv("PLANTED_BUG", string(planted.DropFrame))
	for _, b := range planted.All() {
		if planted.Is(b) || planted.Sometimes(b) || planted.Script("text") != "text" {
			t.Errorf("it has %s", b)
		}
	}
}

func TestMutantsAreChosenByName(t *testing.T) {
	t.Parallel()
	chosen, err := mutant.Choose("keep-redo,cross-wire")
	if err != nil || len(chosen) != 2 || chosen[0].Bug != planted.KeepRedo || chosen[1].Bug != planted.CrossWire {
		t.Errorf("chosen %v, %v", chosen, err)
	}
	if all, err := mutant.Choose("all"); err != nil || len(all) != len(planted.All()) {
		t.Errorf("all are %v, %v", all, err)
	}
	if _, err := mutant.Choose("typo"); err == nil {
		t.Error("a bug that is none was chosen")
	}
}
