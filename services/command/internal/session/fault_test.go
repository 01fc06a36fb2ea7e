package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/command/internal/session"
)

func TestWhileRedisIsAwayCallsEndInTimeAndAreResolvedAfterwards(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "--appendonly", "yes", "--appendfsync", "always")
	i := start(t, options{url: server.URL(), cfg: session.Config{Deadline: 300 * time.Millisecond}})
	d := i.project()
	call := session.Call{Key: uuid.NewString()}
	must(t, server.Pause())

	began := time.Now()
	_, command := d.try("CreateNode", d.folder("Garden"), call)
	_, read := d.GraphJSON(d.ctx)
	_, info := d.Info(d.ctx)
	took := time.Since(began)
	must(t, server.Resume())

	for name, err := range map[string]error{"command": command, "read": read, "info": info} {
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if took > 5*time.Second {
		t.Errorf("three calls took %v", took)
	}
	var r session.Result
	eventually(t, "the repeat is answered", func() (ok bool) {
		var err error
		r, err = d.try("CreateNode", d.folder("Garden"), call)
		return err == nil
	})
	if records := d.records(); len(records) != 2 || records[1].Position() != r.Position {
		t.Errorf("%d records, answered was version %d", len(records), r.Position.Version)
	}
	server.Kill()
	must(t, server.Restart())
	eventually(t, "the session is back", func() bool { _, err := d.GraphJSON(d.ctx); return err == nil })
	if d.name(r.Node) != "Garden" {
		t.Error("the node is lost")
	}
}

// slow is a Redis hook that holds up every command of one name until it is let go.
type slow struct {
	name string
	gate chan struct{}
	held chan struct{} // if not nil: told of each command that is held
}

func (s slow) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.hold(ctx, cmd)
		return next(ctx, cmd)
	}
}

func (s slow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s.hold(ctx, cmds[0])
		return next(ctx, cmds)
	}
}

func (s slow) hold(ctx context.Context, cmd redis.Cmder) {
	if cmd.Name() == s.name {
		select {
		case s.held <- struct{}{}:
		default:
		}
		select {
		case <-s.gate:
		case <-ctx.Done():
		}
	}
}

func TestTooManyWaitingCommandsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	i := start(t, options{cfg: session.Config{Queue: 2, Deadline: time.Minute}})
	d := i.project()
	hold := slow{name: "evalsha", gate: make(chan struct{}), held: make(chan struct{}, 64)}
	i.rdb.AddHook(hold)

	var all sync.WaitGroup
	errs := make(chan error, 10)
	create := func(n int) {
		_, err := d.try("CreateNode", d.folder(fmt.Sprint(n)), session.Call{})
		errs <- err
	}
	all.Go(func() { create(0) })
	<-hold.held // it is being committed; were more there before it, they would be committed with it
	for n := range 9 {
		all.Go(func() { create(1 + n) })
	}
	for range 7 { // two wait
		if err := <-errs; !errors.Is(err, session.ErrBusy) {
			t.Errorf("got %v, want too many", err)
		}
	}
	close(hold.gate)
	all.Wait()

	for range 3 {
		must(t, <-errs)
	}
	if got := len(d.records()); got != 4 {
		t.Errorf("%d records, want 4", got)
	}
}

func TestACommandThatWaitsTooLongIsNeverCarriedOut(t *testing.T) {
	t.Parallel()
	i := start(t, options{cfg: session.Config{Deadline: time.Minute}})
	d := i.project()
	hold := slow{name: "evalsha", gate: make(chan struct{}), held: make(chan struct{}, 64)}
	i.rdb.AddHook(hold)
	first := make(chan error)
	go func() { _, err := d.try("CreateNode", d.folder("first"), session.Call{}); first <- err }()
	<-hold.held // a second one that came earlier would go with the first
	eventually(t, "a reader is not held up by a commit", func() bool { return d.name(d.root) != "" })
	impatient, cancel := context.WithTimeout(d.ctx, 50*time.Millisecond)
	defer cancel()

	_, err := d.Execute(impatient, "CreateNode", object(t, d.folder("second")), session.Call{})
	close(hold.gate)
	must(t, <-first)

	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	d.creates("third")
	for _, r := range d.records() {
		if r.Version > 3 {
			t.Errorf("version %d: the command that was given up was carried out", r.Version)
		}
	}
}

func TestForgottenSessionsAreLoadedAgain(t *testing.T) {
	t.Parallel()
	i := start(t, options{cfg: session.Config{Warm: 2}})
	desks := make([]*desk, 5)
	for n := range desks {
		desks[n] = i.project()
	}
	for round := range 3 {
		for _, d := range desks {
			d.renames(d.root, fmt.Sprint("round ", round))
		}
	}

	for range 10 {
		if _, err := i.Info(session.NewContext(t.Context(), newID())); !errors.Is(err, session.ErrNoSession) {
			t.Errorf("a session that does not exist: %v", err)
		}
	}
	if got := i.metric("talus_warm_sessions"); got != 2 {
		t.Errorf("%v sessions in memory, want 2", got)
	}
	if size := i.metric("talus_warm_bytes"); size <= 0 {
		t.Errorf("%v bytes in memory", size)
	}
	for _, d := range desks {
		if d.name(d.root) != "round 2" || d.info().Position.Version != 4 {
			t.Errorf("%+v", d.info())
		}
		must(t, d.Delete(d.ctx))
	}
	if got := i.metric("talus_warm_bytes"); got != 0 {
		t.Errorf("%v bytes in memory with no session", got)
	}
}

func TestASessionIsLoadedOnceHoweverManyWait(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	must(t, second(d.LoadGraph(d.ctx, document(t, 2000, ""), session.Call{})))
	cold := start(t, options{})
	want, _ := d.hash()

	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := cold.View(d.ctx, func(v session.View) error {
				if graph.Hash(v.Graph) != want {
					t.Error("another graph")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()

	if got := cold.metric("talus_session_loads_total"); got != 1 {
		t.Errorf("%v loads, want 1", got)
	}
}

func TestALoadThatOutlastsItsCallersIsNotForNothing(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	i := start(t, options{cfg: session.Config{Deadline: 50 * time.Millisecond}})
	cold := d.on(i)
	hold := slow{name: "hscan", gate: make(chan struct{})}
	i.rdb.AddHook(hold)

	for range 3 {
		if _, err := cold.try("CreateNode", d.folder("Garden"), session.Call{}); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
	close(hold.gate)
	eventually(t, "the session is loaded", func() bool { return i.metric("talus_session_loads_total") == 1 })

	if cold.name(d.root) != "House" || i.metric("talus_session_loads_total") != 1 {
		t.Errorf("%v loads, want 1", i.metric("talus_session_loads_total"))
	}
	if info := cold.info(); info.Position.Version != 1 {
		t.Errorf("a command that was given up was carried out: %+v", info)
	}
}

func TestADamagedSessionIsNotContinued(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	d.creates("Garden")
	keys, err := d.rdb.Keys(d.ctx, "talus:*"+d.id.String()+":n:*").Result()
	must(t, err)
	must(t, d.rdb.HDel(d.ctx, keys[0], string(d.root[:])).Err())
	cold := d.on(start(t, options{}))

	_, read := cold.GraphJSON(cold.ctx)
	_, command := d.try("CreateNode", d.folder("Shed"), session.Call{})
	_, warm := d.GraphJSON(d.ctx)

	if !errors.Is(read, session.ErrTorn) || !errors.Is(command, session.ErrTorn) || !errors.Is(warm, session.ErrTorn) {
		t.Errorf("read %v, command %v, read in memory %v", read, command, warm)
	}
}

func TestADamagedSessionIsReplacedByItsSavedProject(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	_, err := d.Save(d.ctx)
	must(t, err)
	d.creates("Garden") // is lost with the session
	keys, err := d.rdb.Keys(d.ctx, "talus:*"+d.id.String()+":n:*").Result()
	must(t, err)
	must(t, d.rdb.HDel(d.ctx, keys[0], string(d.root[:])).Err())
	_, err = d.try("CreateNode", d.folder("Shed"), session.Call{})
	if !errors.Is(err, session.ErrTorn) {
		t.Fatal(err)
	}

	r, err := d.LoadProject(d.t.Context(), d.made.Project, session.Call{})
	must(t, err)
	must(t, d.Delete(d.ctx))

	again := &desk{instance: d.instance, ctx: session.NewContext(t.Context(), r.Session), id: r.Session, root: d.root}
	again.creates("Shed")
	if again.name(d.root) != "House" || r.Session == d.id {
		t.Errorf("session %s with %q", r.Session, again.name(d.root))
	}
	if _, err := d.Info(d.ctx); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("after the deletion: %v", err)
	}
}

func TestADamagedSessionThatNobodyUsesIsRemoved(t *testing.T) {
	t.Parallel()
	i := start(t, options{url: redistest.Server(t).URL()})
	d := i.project()
	keys, err := d.rdb.Keys(d.ctx, "talus:*"+d.id.String()+":n:*").Result()
	must(t, err)
	must(t, d.rdb.Del(d.ctx, keys[0]).Err())
	if _, err := d.try("CreateNode", d.folder("Shed"), session.Call{}); !errors.Is(err, session.ErrTorn) {
		t.Fatal(err)
	}

	young, _, err := i.Cleanup(t.Context(), time.Hour)
	must(t, err)
	i.later.Store(int64(2 * time.Hour))
	old, _, err := i.Cleanup(t.Context(), time.Hour)
	must(t, err)

	if young != 0 || old != 1 {
		t.Errorf("%d removed before its time, %d after", young, old)
	}
}

func TestAReaderOfTheLogLearnsWhereItStands(t *testing.T) {
	t.Parallel()
	d := start(t, options{}).project()
	other := d.instance.project()
	d.creates("Garden")
	at := d.info().Position

	all, err := d.Commits(d.ctx, session.After{}, 10)
	must(t, err)
	rest, err := d.Commits(d.ctx, session.After{Version: 1, Position: d.made.Position}, 10)
	must(t, err)
	none, err := d.Commits(d.ctx, session.After{Version: at.Version, Position: at}, 10)
	must(t, err)
	_, strange := d.Commits(d.ctx, session.After{Version: 1, Position: other.made.Position}, 10)
	_, ahead := d.Commits(d.ctx, session.After{Version: 99}, 10)

	if len(all.Records) != 2 || len(rest.Records) != 1 || len(none.Records) != 0 || all.Head != at {
		t.Errorf("read %d, %d and %d records, head %v", len(all.Records), len(rest.Records), len(none.Records), all.Head)
	}
	for name, err := range map[string]error{"another branch": strange, "ahead": ahead} {
		if e := new(*session.AheadError); !errors.As(err, e) || (*e).Head != at {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRunSweepsIdleSessions(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t) // a Redis of its own: the sweeper takes every session
	i := start(t, options{
		url: "redis://" + mini.Addr() + "/0",
		cfg: session.Config{TTL: time.Hour, SweepEvery: 10 * time.Millisecond},
	})
	edge := uuid.NewString()
	must(t, i.log.BeginLease(t.Context(), edge))
	watched, err := i.Create(t.Context(), session.Call{})
	must(t, err)
	must(t, i.log.SetClients(t.Context(), watched.Session, edge, 1))
	idle, err := i.Create(t.Context(), session.Call{})
	must(t, err)

	i.later.Store(int64(2 * time.Hour))

	eventually(t, "the idle session is removed", func() bool {
		_, err := i.Info(session.NewContext(t.Context(), idle.Session))
		return errors.Is(err, session.ErrNoSession)
	})
	if _, err := i.Info(session.NewContext(t.Context(), watched.Session)); err != nil {
		t.Errorf("the watched session: %v", err)
	}
	eventually(t, "the removal is counted", func() bool { return i.metric("talus_session_removed_total") == 1 })
}
