package session_test

import (
	"bytes"
	"context"
	"encoding"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/graph"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/command/internal/session"
)

// valve is a Redis hook that holds up what commits until it is let through, and
// counts the commits of each pipeline.
type valve struct {
	gate chan struct{}

	mu    sync.Mutex
	sizes []int
}

func (v *valve) DialHook(next redis.DialHook) redis.DialHook { return next }

func (v *valve) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		v.hold(ctx, []redis.Cmder{cmd})
		return next(ctx, cmd)
	}
}

func (v *valve) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		v.hold(ctx, cmds)
		return next(ctx, cmds)
	}
}

func (v *valve) hold(ctx context.Context, cmds []redis.Cmder) {
	if cmds[0].Name() != "evalsha" {
		return
	}
	commits := 0
	for _, cmd := range cmds {
		for _, arg := range cmd.Args() {
			if isCommit(arg) {
				commits++
			}
		}
	}
	v.mu.Lock()
	v.sizes = append(v.sizes, commits)
	v.mu.Unlock()
	select {
	case <-v.gate:
	case <-ctx.Done():
	}
}

// seen are the sizes of the pipelines that came so far.
func (v *valve) seen() []int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.sizes)
}

// answer is what came of one command.
type answer struct {
	session.Result
	err error
}

// crowd is a session in which commands wait behind one that is held up.
type crowd struct {
	*desk
	valve *valve
	first chan answer
}

func gathers(t *testing.T) *crowd {
	t.Helper()
	return (&crowd{desk: start(t, options{cfg: session.Config{Deadline: time.Minute}}).project()}).holds()
}

// holds shuts the valve and lets a first command run into it.
func (c *crowd) holds() *crowd {
	c.valve = &valve{gate: make(chan struct{})}
	c.rdb.AddHook(c.valve)
	c.first = c.sends(func() (session.Result, error) {
		return c.try("UpdateProperty", rename(c.root, "first"), session.Call{})
	})
	eventually(c.t, "the first command is on its way", func() bool { return len(c.valve.seen()) == 1 })
	return c
}

// sends makes a call without waiting for its answer.
func (c *crowd) sends(call func() (session.Result, error)) chan answer {
	c.t.Helper()
	got, before := make(chan answer, 1), c.waiting()
	go func() { r, err := call(); got <- answer{r, err} }()
	if c.first != nil {
		eventually(c.t, "the command waits", func() bool { return c.waiting() == before+1 })
	}
	return got
}

// waiting is how many commands are in the queue.
func (c *crowd) waiting() int { return session.Waiting(c.Service, c.id) }

func (c *crowd) asks(kind string, fields map[string]any, call session.Call) chan answer {
	c.t.Helper()
	return c.sends(func() (session.Result, error) { return c.try(kind, fields, call) })
}

// passes lets one pipeline through.
func (c *crowd) passes() { c.valve.gate <- struct{}{} }

func TestCommandsThatWaitTogetherGoInOnePipeline(t *testing.T) {
	t.Parallel()
	c := gathers(t)
	var answers []chan answer
	for n := range 100 {
		answers = append(answers, c.asks("CreateNode", c.folder(fmt.Sprint(n)), session.Call{Render: n%30 == 0}))
	}

	close(c.valve.gate)

	must(t, (<-c.first).err)
	for n, a := range answers {
		got := <-a
		must(t, got.err)
		if got.Position.Version != uint64(n)+3 {
			t.Errorf("command %d is version %d", n, got.Position.Version)
		}
		if got.Graph != nil && (got.Graph.Position != got.Position || got.Graph.Nodes != n+2) {
			t.Errorf("command %d is shown %d nodes at %v", n, got.Graph.Nodes, got.Graph.Position)
		}
	}
	if sizes := c.valve.seen(); !slices.Equal(sizes, []int{1, 64, 36}) {
		t.Errorf("pipelines of %v commits, want 1, 64 and 36", sizes)
	}
	folded, at := c.fold()
	if h, pos := c.hash(); graph.Hash(folded) != h || at != pos {
		t.Errorf("the log is at %v, the graph at %v, or they differ", at, pos)
	}
}

func TestAPipelineIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	c := gathers(t)
	var answers []chan answer
	for n := range 8 {
		answers = append(answers, c.asks("UpdateProperty", rename(c.root, strings.Repeat(fmt.Sprint(n), 150<<10)), session.Call{}))
	}

	close(c.valve.gate)

	for _, a := range answers {
		if got := <-a; got.err != nil {
			var r *graph.Rejection
			if !errors.As(got.err, &r) {
				t.Error(got.err)
			}
		}
	}
	for _, size := range c.valve.seen() {
		if size > 4 {
			t.Errorf("pipelines of %v commits", c.valve.seen())
		}
	}
}

func TestARefusalWaitsForWhatItRestsOnAndFallsWithIt(t *testing.T) {
	t.Parallel()
	d := start(t, options{cfg: session.Config{Deadline: time.Minute}}).project()
	shed, pond := d.creates("Shed"), d.creates("Pond")
	other := d.on(start(t, options{}))
	c := (&crowd{desk: d}).holds()
	removal := c.sends(func() (session.Result, error) {
		return c.Batch(c.ctx, []session.Item{
			{Type: "UpdateProperty", Data: object(t, rename(pond, "Lake"))},
			{Type: "DeleteNode", Data: object(t, map[string]any{"node_id": shed})},
		}, "", session.Call{})
	})
	late := c.asks("UpdateProperty", rename(shed, "House"), session.Call{}) // refused, if the removal is committed

	c.passes()
	must(t, (<-c.first).err)
	eventually(t, "the removal is on its way", func() bool { return len(c.valve.seen()) == 2 })
	other.does("DeleteNode", map[string]any{"node_id": pond}) // now the removal will be refused
	select {
	case got := <-late:
		t.Fatalf("the refusal was answered before what it rests on: %v", got.err)
	default:
	}
	close(c.valve.gate)

	var r *graph.Rejection
	if got := <-removal; !errors.As(got.err, &r) {
		t.Errorf("the removal: %v", got.err)
	}
	if got := <-late; got.err != nil || c.name(shed) != "House" {
		t.Errorf("a command was refused because of one that never was: %v", got.err)
	}
}

func TestARefusalAmongOthersRefusesOnlyItself(t *testing.T) {
	t.Parallel()
	c := gathers(t)
	at := c.made.Position
	made := c.asks("CreateNode", c.folder("Shed"), session.Call{})
	gone := c.asks("UpdateProperty", rename(newID(), "Nothing"), session.Call{})
	old := c.asks("CreateNode", c.folder("Pond"), session.Call{IfMatch: session.Match{Positions: []wire.Position{at}}})
	last := c.asks("CreateNode", c.folder("Lake"), session.Call{})

	close(c.valve.gate)

	var r *graph.Rejection
	var m *session.MatchError
	if got := <-gone; !errors.As(got.err, &r) {
		t.Errorf("a node that never was: %v", got.err)
	}
	if got := <-old; !errors.As(got.err, &m) || m.Current != (<-made).Position {
		t.Errorf("an old If-Match: %v", got.err)
	}
	if got := <-last; got.err != nil || got.Position.Version != 4 {
		t.Errorf("the last: %+v, %v", got.Position, got.err)
	}
}

func TestARepeatInAGroupGetsTheFirstAnswerAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	d := start(t, options{cfg: session.Config{Deadline: time.Minute}}).project()
	keyed := session.Call{Key: uuid.NewString()}
	c := (&crowd{desk: d}).holds()
	before := c.asks("CreateNode", c.folder("before"), session.Call{})
	repeat := c.asks("CreateNode", c.folder("Shed"), keyed)
	after := c.asks("CreateNode", c.folder("after"), session.Call{})
	first, err := d.on(start(t, options{})).try("CreateNode", d.folder("Shed"), keyed)
	must(t, err)

	close(c.valve.gate)

	if got := <-repeat; got.err != nil || !got.Replayed || got.Node != first.Node || got.Position != first.Position {
		t.Errorf("the repeat: %+v, %v", got.Result, got.err)
	}
	must(t, (<-before).err)
	must(t, (<-after).err)
	if got := len(c.records()); got != 5 {
		t.Errorf("%d records, want 5", got)
	}
}

// spoiler is a hook that makes the script of every commit fail whose record contains the text, before it writes anything.
type spoiler string

func (s spoiler) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s spoiler) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.spoil(cmd)
		return next(ctx, cmd)
	}
}

func (s spoiler) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			s.spoil(cmd)
		}
		return next(ctx, cmds)
	}
}

func (s spoiler) spoil(cmd redis.Cmder) {
	args := cmd.Args()
	for i := range args {
		if isCommit(args[i]) && bytes.Contains(sent(args[i+1]), []byte(s)) {
			args[i] = string(sent(args[i])) + " and more"
		}
	}
}

// aboutCommit is what commit.lua is told first of each record, which comes behind it.
var aboutCommit = regexp.MustCompile(`^[0-9]+ [0-9a-f]{16} [0-9]+ [0-9]+ [a-z]+ `)

func isCommit(arg any) bool { return aboutCommit.Match(sent(arg)) }

// sent is an argument as it goes to Redis, nil if it is one that every commit has.
func sent(arg any) []byte {
	switch v := arg.(type) {
	case string:
		return []byte(v)
	case encoding.BinaryMarshaler:
		text, _ := v.MarshalBinary() // never fails
		return text
	}
	return nil
}

func TestACommandWhoseScriptFailsHarmsNoOther(t *testing.T) {
	t.Parallel()
	d := start(t, options{cfg: session.Config{Deadline: time.Minute}}).project()
	d.rdb.AddHook(spoiler("Shed"))
	c := (&crowd{desk: d}).holds()
	before := c.asks("CreateNode", c.folder("before"), session.Call{})
	broken := c.asks("CreateNode", c.folder("Shed"), session.Call{})
	after := c.asks("CreateNode", c.folder("after"), session.Call{})

	close(c.valve.gate)

	if got := <-broken; got.err == nil || !strings.Contains(got.err.Error(), "malformed") {
		t.Errorf("the command whose script fails: %v", got.err)
	}
	must(t, (<-before).err)
	must(t, (<-after).err)
	if sizes := c.valve.seen(); !slices.Equal(sizes, []int{1, 3, 1, 1}) {
		t.Errorf("pipelines of %v commits, want 1, 3, the broken one alone, and the last", sizes)
	}
}

func TestACommandThatTakesLongIsToldOfEarly(t *testing.T) {
	t.Parallel()
	c := gathers(t)

	eventually(t, "the command is told of", func() bool { return len(c.ear.events()) > 0 })
	close(c.valve.gate)
	got := <-c.first

	must(t, got.err)
	e := c.ear.events()[0]
	if e.Name != wire.CommandExecuting || string(e.Fields) != `"early":true` || !strings.Contains(string(e.Common), got.Command.String()) {
		t.Errorf("%s %s %s", e.Name, e.Common, e.Fields)
	}
	records := c.records()
	if want := names(records[len(records)-1]); want[0] != wire.CommandExecuting {
		t.Errorf("the commit has %v", want)
	}
}

func TestAQueueIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	d := start(t, options{cfg: session.Config{Deadline: time.Minute, QueueBytes: 1000}}).project()
	c := (&crowd{desk: d}).holds()
	large := c.asks("UpdateProperty", rename(c.root, strings.Repeat("a", 500)), session.Call{})

	_, err := c.try("UpdateProperty", rename(c.root, strings.Repeat("b", 500)), session.Call{})
	small := c.asks("UpdateProperty", rename(c.root, "c"), session.Call{})
	close(c.valve.gate)

	if !errors.Is(err, session.ErrBusy) {
		t.Errorf("got %v, want too much", err)
	}
	must(t, (<-large).err)
	must(t, (<-small).err)
}
