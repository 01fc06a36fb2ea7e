package session_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/session"
)

func (d *desk) undoes() session.Result { return d.unwinds(d.Undo) }
func (d *desk) redoes() session.Result { return d.unwinds(d.Redo) }

func (d *desk) unwinds(do unwind) session.Result {
	d.t.Helper()
	r, err := do(d.ctx, session.UndoRequest{}, session.Call{Actor: "bob"})
	must(d.t, err)
	return r
}

func TestUndoTakesBackAndRedoDoesAgain(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	before, _ := d.hash()
	made := d.does("CreateNode", d.folder("Garden"))
	after, _ := d.hash()

	undone := d.undoes()
	undoneHash, _ := d.hash()
	redone := d.redoes()
	redoneHash, _ := d.hash()

	if undoneHash != before || redoneHash != after {
		t.Error("the graph is not what it was")
	}
	want := session.Undone{Command: made.Command, Type: "CreateNode", Version: made.Position.Version, Actor: "ann"}
	if *undone.Undone != want || *redone.Undone != want {
		t.Errorf("undone %+v, redone %+v, want %+v", undone.Undone, redone.Undone, want)
	}
	if undone.UndoAvailable || !undone.RedoAvailable || !redone.UndoAvailable || redone.RedoAvailable {
		t.Errorf("available after undo %+v, after redo %+v", undone, redone)
	}
	records := d.records()
	if len(records) != 4 {
		t.Fatalf("%d records, want 4: undo and redo append", len(records))
	}
	wantUndo := []wire.EventName{wire.NodeUnlinked, wire.NodeDeleted, wire.CommandUndo}
	wantRedo := []wire.EventName{wire.NodeCreated, wire.NodeLinked, wire.CommandRedo}
	if got := names(records[2]); !slices.Equal(got, wantUndo) {
		t.Errorf("undo told %v", got)
	}
	if got := names(records[3]); !slices.Equal(got, wantRedo) {
		t.Errorf("redo told %v", got)
	}
	if records[2].Command == made.Command {
		t.Error("the undo has the command id of what it undid")
	}
}

func TestUndoLawsHoldForRandomCommands(t *testing.T) {
	t.Parallel()
	a := start(t, options{})
	d := a.project()
	desks := []*desk{d, d.on(start(t, options{}))}
	random := rand.New(rand.NewPCG(1, 2))
	hashes := [][32]byte{}
	remember := func() { h, _ := d.hash(); hashes = append(hashes, h) }
	remember()
	nodes := []uuid.UUID{d.root}
	for n := range 40 {
		desk := desks[random.IntN(2)]
		node := nodes[random.IntN(len(nodes))]
		switch {
		case n < 5 || random.IntN(3) == 0:
			nodes = append(nodes, desk.does("CreateNode", map[string]any{"blueprint_type_id": "tree_folder", "parent_id": d.root, "name": fmt.Sprint(n)}).Node)
		case random.IntN(4) == 0 && node != d.root:
			desk.does("DeleteNode", map[string]any{"node_id": node})
			nodes = slices.DeleteFunc(nodes, func(id uuid.UUID) bool { return id == node })
		default:
			desk.renames(node, fmt.Sprint("named ", n))
		}
		remember()
	}

	last := len(hashes) - 1
	for n := last - 1; n >= 0; n-- {
		desks[random.IntN(2)].undoes()
		if h, _ := d.hash(); h != hashes[n] {
			t.Fatalf("after %d undos the graph is not what it was", last-n)
		}
	}
	if r := d.undoes(); r.Undone != nil {
		t.Errorf("undone %+v from an empty stack", r.Undone)
	}
	for n := 1; n <= last; n++ {
		desks[random.IntN(2)].redoes()
		if h, _ := d.hash(); h != hashes[n] {
			t.Fatalf("after %d redos the graph is not what it was", n)
		}
	}
	if r := d.redoes(); r.Undone != nil {
		t.Errorf("redone %+v from an empty stack", r.Undone)
	}
	if got, want := d.info().Position.Version, uint64(1+3*last); got != want {
		t.Errorf("version %d, want %d: undo and redo append", got, want)
	}
}

func TestANewCommandEmptiesRedo(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	d.creates("Garden")
	d.undoes()

	d.creates("Shed")

	if r := d.redoes(); r.Undone != nil {
		t.Errorf("redone %+v", r.Undone)
	}
}

func TestUndoOfAnotherThanTheExpectedCommandIsRefused(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	version := d.does("CreateNode", d.folder("Garden")).Position.Version
	d.creates("Shed")
	request := session.UndoRequest{ExpectTop: &version}

	_, err := d.Undo(d.ctx, request, session.Call{})

	var top *session.TopError
	if !errors.As(err, &top) || top.Top != version+1 {
		t.Fatalf("got %v", err)
	}
	d.undoes()
	if _, err := d.Undo(d.ctx, request, session.Call{}); err != nil {
		t.Error(err)
	}
	if _, err := d.Undo(d.ctx, request, session.Call{}); !errors.As(err, &top) || top.Top != 0 {
		t.Errorf("with nothing left: %v", err)
	}
	if _, err := d.Undo(d.ctx, session.UndoRequest{Scope: session.ScopeActor}, session.Call{}); !errors.Is(err, session.ErrScope) {
		t.Errorf("scope actor: %v", err)
	}
}

func TestARepeatedUndoUndoesOnce(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	d.creates("Garden")
	d.creates("Shed")
	call := session.Call{Key: uuid.NewString()}

	first, err := d.Undo(d.ctx, session.UndoRequest{}, call)
	must(t, err)
	second, err := d.Undo(d.ctx, session.UndoRequest{}, call)
	must(t, err)

	if !second.Replayed || *second.Undone != *first.Undone || second.Position != first.Position || !second.UndoAvailable {
		t.Errorf("first %+v, then %+v", first, second)
	}
	if state, err := d.State(d.ctx, 20); err != nil || state.UndoDepth != 1 || state.RedoDepth != 1 ||
		state.Redo[0] != *first.Undone || state.Position != first.Position {
		t.Errorf("state %+v, %v", state, err)
	}
}

func TestUndoNeedsAProject(t *testing.T) {
	t.Parallel()
	i := start(t, options{})
	info, err := i.Create(t.Context(), session.Call{})
	must(t, err)
	if _, err := i.Undo(session.NewContext(t.Context(), info.Session), session.UndoRequest{}, session.Call{}); !errors.Is(err, session.ErrInvalidState) {
		t.Errorf("got %v", err)
	}
}
