package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/command/internal/session"
)

func TestASessionIsFoundByItsProjectEvenIfTheListWasLost(t *testing.T) {
	t.Parallel()
	for name, heal := range map[string]func(*desk) error{
		"by the sweep": func(d *desk) error { _, _, err := d.Cleanup(d.ctx, time.Hour); return err },
		"by a load": func(d *desk) error {
			return d.on(start(t, options{})).View(d.ctx, func(session.View) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, options{}).project()
			first, err := d.SaveProject(t.Context(), d.made.Project)
			must(t, err)
			keys, err := d.rdb.Keys(d.ctx, "talus:*:project:"+d.made.Project.String()).Result()
			must(t, err)
			must(t, d.rdb.Del(d.ctx, keys...).Err())
			if _, err := d.SaveProject(t.Context(), d.made.Project); !errors.Is(err, session.ErrProjectNotFound) {
				t.Fatalf("the list was not lost: %v", err)
			}

			must(t, heal(d))

			again, err := d.SaveProject(t.Context(), d.made.Project)
			if err != nil || again.Session != first.Session {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}

func TestInfoTakesOneRoundTrip(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	d.info()
	trips := &valve{gate: make(chan struct{})}
	close(trips.gate)
	d.rdb.AddHook(trips)

	info := d.info()

	if sizes := trips.seen(); len(sizes) != 1 || info.Position != d.made.Position {
		t.Errorf("%d trips to Redis, want 1; %+v", len(sizes), info)
	}
}

func TestACommandThatCannotBeKeptForUndoSaysSo(t *testing.T) {
	t.Parallel()
	d := start(t, options{log: eventlog.Config{UndoBytes: 2000}}).project()
	small := d.renames(d.root, "Shed")
	large := d.does("UpdateProperty", map[string]any{"node_id": d.root, "property_id": "notes", "new_value": strings.Repeat("n", 3000)})
	info := d.info()
	undo, err := d.Undo(d.ctx, session.UndoRequest{}, session.Call{})
	must(t, err)
	again := d.renames(d.root, "Pond")

	if !small.UndoAvailable || large.UndoAvailable || !again.UndoAvailable {
		t.Errorf("undo available: %t, %t and %t, want only the second not to be", small.UndoAvailable, large.UndoAvailable, again.UndoAvailable)
	}
	if info.UndoAvailable || undo.Undone != nil || undo.UndoAvailable {
		t.Errorf("the head says %t, an undo finds %+v", info.UndoAvailable, undo.Undone)
	}
}
