package e2e_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/talus-tally/talus/tests/harness"
)

func TestWhatOneCreatesTheOtherSeesOnAnotherEdge(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	ben := sys.JoinsVia("ben", plan, sys.Edge(1), sys.Command(1))

	ann.Creates("house", "plan")
	ben.Sees("house")
	ben.Creates("roof", "house")
	ann.SeesUnder("roof", "house")
	ben.Moves("roof", "plan")
	ann.SeesUnder("roof", "plan")
	ann.Renames("roof", "green roof")
	ben.Sees("green roof")
	ben.Deletes("house")

	ann.NoLongerSees("house")
	ann.SameGraphAs(ben)
}

func TestUndoAndRedoReachEverybody(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	ben := sys.JoinsVia("ben", plan, sys.Edge(1), sys.Command(1))
	ann.Creates("house", "plan")
	ann.Creates("roof", "house")
	ann.Sees("roof")
	before := ann.Hash()

	ben.Deletes("house")
	ann.NoLongerSees("roof")
	undone := ann.Undoes()
	ben.Sees("roof")
	ann.Sees("roof")
	if ann.Hash() != before {
		t.Error("undo did not bring the same graph back")
	}
	if undone.Undone == nil || undone.Undone.CommandType != "DeleteNode" {
		t.Errorf("undone = %+v, want the DeleteNode", undone.Undone)
	}
	ben.Redoes()

	ann.NoLongerSees("house")
	ann.SameGraphAs(ben)
}

func TestWhoLeavesAndComesBackOnAnotherEdgeMissesNothing(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 2})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	ben := sys.Joins("ben", plan, sys.Edge(0))
	ann.Creates("house", "plan")
	ann.Sees("house")

	ann.Leaves()
	for i := range 50 {
		ben.Creates(fmt.Sprintf("room %d", i), "house") // while nobody listens
	}
	ann.Reconnects(sys.Edge(1))

	ann.Sees("room 49")
	ann.SameGraphAs(ben)
}

func TestClientsOnTwoEdgesReceiveTheSameBytes(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2})
	plan := sys.NewPlan()
	ann := sys.Joins("ann", plan, sys.Edge(0))
	ben := sys.JoinsVia("ben", plan, sys.Edge(1), sys.Command(1))
	start := ann.Position().Version

	const each = 500
	var writers sync.WaitGroup
	for _, person := range []*harness.Person{ann, ben} {
		writers.Go(func() {
			for range each {
				person.Creates("room", "plan")
			}
		})
	}
	writers.Wait()
	ann.Reaches(start + 2*each)
	ben.Reaches(start + 2*each)

	left, right := ann.Frames(), ben.Frames()
	if len(left) != 2*each || len(right) != 2*each {
		t.Fatalf("%d and %d frames, want %d", len(left), len(right), 2*each)
	}
	for i := range left {
		if !bytes.Equal(left[i], right[i]) {
			t.Fatalf("frame %d differs:\n%s\n%s", i, left[i], right[i])
		}
	}
	ann.SameGraphAs(ben)
}

func TestNothingOfOneSessionReachesAnother(t *testing.T) {
	t.Parallel()
	sys := harness.Start(t, harness.Shape{Commands: 2, Edges: 2})
	const plans, rooms = 4, 25
	var writers sync.WaitGroup
	people := make([][]*harness.Person, plans)
	for i := range plans {
		plan := sys.NewPlan()
		for e := range 2 {
			p := sys.JoinsVia(fmt.Sprintf("p%d on edge %d", i, e), plan, sys.Edge(e), sys.Command(e))
			people[i] = append(people[i], p)
		}
		writers.Go(func() {
			for range rooms {
				people[i][0].Creates(fmt.Sprintf("canary-%d-", i), "plan")
			}
		})
	}
	writers.Wait()

	for i := range plans {
		for _, p := range people[i] {
			p.Reaches(people[i][0].Position().Version)
			p.Reaches(1 + rooms)
			for _, frame := range p.Frames() {
				for other := range plans {
					if other != i && bytes.Contains(frame, fmt.Appendf(nil, "canary-%d-", other)) {
						t.Fatalf("a client of plan %d received %s", i, frame)
					}
				}
			}
		}
	}
}
