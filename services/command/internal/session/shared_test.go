package session_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// two instances on one Redis, both with the project in memory.
func two(t *testing.T) (ahead, behind *desk) {
	t.Helper()
	ahead = start(t, options{}).project()
	behind = ahead.on(start(t, options{}))
	if behind.name(behind.root) != "House" {
		t.Fatal("the second instance does not see the project")
	}
	return ahead, behind
}

func TestNoReadIsAnsweredFromAnOldGraph(t *testing.T) {
	t.Parallel()
	ahead, behind := two(t)

	for n := range 20 {
		garden := ahead.creates(fmt.Sprint("Garden ", n))
		want := ahead.info().Position

		if got := behind.name(garden); got == "" {
			t.Fatalf("version %d: the node is not seen", want.Version)
		}
		ahead.renames(garden, "Shed")
		body, err := behind.GraphJSON(behind.ctx)
		must(t, err)
		if !strings.Contains(string(body.JSON), "Shed") || body.Position.Version != want.Version+1 {
			t.Fatalf("graph of version %d, want %d", body.Position.Version, want.Version+1)
		}
		if got := behind.info().Position; got != body.Position {
			t.Fatalf("info says %v, the graph %v", got, body.Position)
		}
		ahead.does("DeleteNode", map[string]any{"node_id": garden})
		if got := behind.name(garden); got != "" {
			t.Fatalf("a deleted node is still called %q", got)
		}
	}
}

func TestNoRefusalIsDecidedOnAnOldGraph(t *testing.T) {
	t.Parallel()
	ahead, behind := two(t)

	for n := range 20 {
		garden := ahead.creates(fmt.Sprint("Garden ", n))
		behind.renames(garden, "Shed") // unknown to the graph that behind has in memory

		at := behind.info().Position
		ahead.renames(garden, "Pond")
		call := session.Call{IfMatch: session.Match{Positions: []wire.Position{ahead.info().Position}}}
		if _, err := behind.try("UpdateProperty", rename(garden, "Lake"), call); err != nil {
			t.Fatalf("If-Match of the head was refused: %v", err)
		}
		call.IfMatch.Positions[0] = at
		if _, err := behind.try("UpdateProperty", rename(garden, "Sea"), call); !errors.As(err, new(*session.MatchError)) {
			t.Fatalf("If-Match of an old version: %v", err)
		}
		ahead.does("DeleteNode", map[string]any{"node_id": garden})
		var r *graph.Rejection
		if _, err := behind.try("UpdateProperty", rename(garden, "Sea"), session.Call{}); !errors.As(err, &r) {
			t.Fatalf("a deleted node was renamed: %v", err)
		}
	}
}

func TestOfOneRequestOnTwoInstancesAtOnceOneAnswerIsTheFirst(t *testing.T) {
	t.Parallel()
	one, other := two(t)
	for n := range 100 {
		call := session.Call{Key: fmt.Sprint("key ", n), CommandID: newID()} // so the two commits may be equal in every byte
		results := make([]session.Result, 2)
		var all sync.WaitGroup
		for i, d := range []*desk{one, other} {
			all.Go(func() {
				r, err := d.try("CreateNode", d.folder(fmt.Sprint(n)), call)
				if err != nil {
					t.Error(err)
				}
				results[i] = r
			})
		}
		all.Wait()

		if results[0].Replayed == results[1].Replayed || results[0].Position != results[1].Position {
			t.Fatalf("%d: %+v\n%+v", n, results[0], results[1])
		}
	}
}

func TestAnEmptyUndoIsSeenOnTheNewestState(t *testing.T) {
	t.Parallel()
	ahead, behind := two(t)

	empty, err := behind.Undo(behind.ctx, session.UndoRequest{}, session.Call{Render: true})
	must(t, err)
	made := ahead.does("CreateNode", ahead.folder("Garden"))
	undone, err := behind.Undo(behind.ctx, session.UndoRequest{}, session.Call{})
	must(t, err)

	if empty.Undone != nil || empty.Position != ahead.made.Position || empty.Graph == nil || !empty.Dirty {
		t.Errorf("nothing to undo: %+v", empty)
	}
	if undone.Undone == nil || undone.Undone.Command != made.Command || undone.Undone.Version != made.Position.Version {
		t.Errorf("undone %+v, want the command of %+v", undone.Undone, made)
	}
}

func TestWritersOnTwoInstancesMakeOneChain(t *testing.T) {
	t.Parallel()
	const writers, commands = 16, 1000
	log := eventlog.Config{Retention: -1}
	patient := session.Config{Deadline: time.Minute}
	d := start(t, options{log: log, cfg: patient}).project()
	desks := []*desk{d, d.on(start(t, options{log: log, cfg: patient}))}
	target := d.creates("Target")

	var mu sync.Mutex
	done := map[uint64]uuid.UUID{}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			desk := desks[w%len(desks)]
			for n := range commands / writers {
				r, err := desk.try("CreateNode", desk.folder(fmt.Sprint(w, "/", n)), session.Call{})
				if n%5 == 4 {
					r, err = desk.try("UpdateProperty", rename(target, fmt.Sprint(w, "/", n)), session.Call{})
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				mu.Lock()
				done[r.Position.Version] = r.Command
				mu.Unlock()
			}
		})
	}
	all.Wait()

	folded, at := desks[0].fold()
	first, pos := desks[0].hash()
	second, pos2 := desks[1].hash()
	if graph.Hash(folded) != first || first != second || at != pos || pos != pos2 {
		t.Errorf("the log is at %v, the instances at %v and %v, or their graphs differ", at, pos, pos2)
	}
	records := desks[0].records()
	for version, command := range done {
		if got := records[version-1]; got.Command != command || got.Version != version {
			t.Errorf("version %d is command %v, answered was %v", version, got.Command, command)
		}
	}
}

func TestTheBranchThatRedisLostIsLeft(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]func(*desk) error{
		"by a read": func(d *desk) error { _, err := d.GraphJSON(d.ctx); return err },
		"by a refusal": func(d *desk) error {
			if _, err := d.try("DeleteNode", map[string]any{"node_id": newID()}, session.Call{}); err == nil {
				return errors.New("a node that never was is deleted")
			}
			return nil
		},
		"by a command": func(d *desk) error { _, err := d.try("CreateNode", d.folder("Shed"), session.Call{}); return err },
		"by an undo":   func(d *desk) error { _, err := d.Undo(d.ctx, session.UndoRequest{}, session.Call{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, options{}).project()
			d.creates("kept")
			restore := d.backup()
			lost := d.creates("lost")
			restore()

			must(t, look(d))

			if got := d.name(lost); got != "" {
				t.Error("a node of the lost branch is still there")
			}
			folded, at := d.fold()
			h, pos := d.hash()
			if graph.Hash(folded) != h || at != pos {
				t.Error("the graph is not that of the log")
			}
		})
	}
}

// backup copies all keys of the session and returns what puts the copy back, as a
// fail-over to a replica that was behind does.
func (d *desk) backup() (restore func()) {
	d.t.Helper()
	keys, err := d.rdb.Keys(d.ctx, "talus:*"+d.id.String()+"*").Result()
	must(d.t, err)
	dumps := map[string]string{}
	for _, key := range keys {
		dumps[key], err = d.rdb.Dump(d.ctx, key).Result()
		must(d.t, err)
	}
	return func() {
		now, err := d.rdb.Keys(d.ctx, "talus:*"+d.id.String()+"*").Result()
		must(d.t, err)
		must(d.t, d.rdb.Del(d.ctx, now...).Err())
		for key, dump := range dumps {
			must(d.t, d.rdb.RestoreReplace(d.ctx, key, 0, dump).Err())
		}
	}
}

func TestADeletedSessionIsGoneOnAllInstances(t *testing.T) {
	t.Parallel()
	ahead, behind := two(t)

	must(t, ahead.Delete(ahead.ctx))

	_, command := behind.try("CreateNode", behind.folder("Garden"), session.Call{})
	_, read := behind.GraphJSON(behind.ctx)
	_, info := ahead.Info(ahead.ctx)
	_, undo := behind.Undo(behind.ctx, session.UndoRequest{}, session.Call{})
	for name, err := range map[string]error{"command": command, "read": read, "info": info, "undo": undo, "delete": ahead.Delete(ahead.ctx)} {
		if !errors.Is(err, session.ErrNoSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnInstanceFarBehindCatchesUp(t *testing.T) {
	t.Parallel()
	ahead, behind := two(t)
	var last uuid.UUID
	for n := range 300 { // more than a conflict brings along
		last = ahead.creates(fmt.Sprint(n))
	}

	behind.renames(last, "Shed")

	h, at := ahead.hash()
	h2, at2 := behind.hash()
	if h != h2 || at != at2 || at.Version != 302 {
		t.Errorf("the instances are at %v and %v", at, at2)
	}
	if got := behind.metric("talus_session_reloads_total"); got != 0 {
		t.Errorf("the session was loaded again %v times, want only the log read", got)
	}
}

func TestAnInstanceBehindTheLogsBeginningLoadsAgain(t *testing.T) {
	t.Parallel()
	log := eventlog.Config{Retention: 1, MinAge: time.Millisecond}
	ahead := start(t, options{log: log}).project()
	behind := ahead.on(start(t, options{log: log}))
	behind.name(behind.root)
	for n := range 400 {
		ahead.creates(fmt.Sprint(n))
	}

	if _, err := ahead.Commits(ahead.ctx, session.After{Version: 1}, 10); !errors.As(err, new(*session.TrimmedError)) {
		t.Fatalf("the log was not trimmed: %v", err)
	}

	behind.creates("Shed")
	h, at := ahead.hash()
	h2, at2 := behind.hash()
	if h != h2 || at != at2 {
		t.Errorf("the instances are at %v and %v", at, at2)
	}
}
