package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// audience is a client that keeps what its room calls it with. Only the room's goroutine writes it.
type audience struct {
	sub    *hub.Subscription
	start  hub.Start
	frames map[uint64]string
	events []string
}

func (w *world) hears(session uuid.UUID, after hub.After, format hub.Format) *audience {
	a := &audience{frames: map[uint64]string{}}
	a.sub = w.Join(session, after, format, a)
	wait(time.Second)
	return a
}

func (a *audience) Start(s hub.Start)                    { a.start = s }
func (a *audience) Deliver(version uint64, frame []byte) { a.frames[version] = string(frame) }
func (a *audience) Event(frame []byte, _ hub.State)      { a.events = append(a.events, string(frame)) }
func (a *audience) Own([]byte, hub.State)                {}
func (a *audience) ID() uuid.UUID                        { return uuid.Nil }
func (a *audience) Ended(error)                          {}
func (a *audience) ring(format hub.Format, v uint64) string {
	return string(a.start.Ring.FrameAs(format, v))
}

func TestEachClientGetsItsFormatOfTheSameText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.hears(plan, hub.After{}, hub.Native)
		w.commits(plan, 5)
		wait(time.Second)
		if ann.ring(hub.Native, 3) == "" || ann.ring(hub.EventStream, 3) != "" {
			t.Error("a format that nobody reads is written")
		}

		ben := w.hears(plan, bare(2), hub.EventStream)
		w.commits(plan, 1)
		wait(time.Second)
		w.send(plan, wire.AppendEphemeral(nil, wire.Ephemeral{Session: plan, Name: wire.CommandFailed}))
		wait(time.Second)

		for v := uint64(1); v <= 6; v++ {
			json := string(payload(t, []byte(ann.ring(hub.Native, v))))
			position := json[strings.Index(json, `"position":"`)+12:]
			position = position[:strings.IndexByte(position, '"')]
			if want := fmt.Sprintf("id: %s\nevent: commit\ndata: %s\n\n", position, json); ben.ring(hub.EventStream, v) != want {
				t.Errorf("version %d is\n%s\nwant\n%s", v, ben.ring(hub.EventStream, v), want)
			}
		}
		if ann.frames[6] != ann.ring(hub.Native, 6) || ben.frames[6] != ben.ring(hub.EventStream, 6) {
			t.Error("what is delivered differs from the ring")
		}
		if want := "event: event\ndata: " + string(payload(t, []byte(ann.events[0]))) + "\n\n"; len(ben.events) != 1 || ben.events[0] != want {
			t.Errorf("events %q", ben.events)
		}

		ben.sub.Leave()
		wait(time.Second)
		w.commits(plan, 1)
		wait(time.Second)
		if ann.ring(hub.EventStream, 7) != "" {
			t.Error("a format that nobody reads any more is written")
		}
		cleo := w.hears(plan, bare(2), hub.EventStream)
		if cleo.ring(hub.EventStream, 7) == "" {
			t.Error("a commit has no text for a client that came later")
		}
	})
}

func TestAllFormatsCountAgainstTheBytesOfARing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingBytes: 10_000})
		defer end()
		plan := w.create(1)
		ann := w.hears(plan, hub.After{}, hub.Native)
		held := func() (n, size int) {
			for v := uint64(1); v <= ann.start.Ring.Head(); v++ {
				if f := ann.ring(hub.Native, v); f != "" {
					n++
					size += len(f) + len(ann.ring(hub.EventStream, v))
				}
			}
			return n, size
		}
		w.commits(plan, 100)
		wait(time.Second)
		alone, _ := held()

		ben := w.hears(plan, hub.After{}, hub.EventStream)
		both, size := held()
		w.commits(plan, 100)
		wait(time.Second)
		later, sizeLater := held()

		if alone < 15 || both > alone*6/10 || later != both || size > 10_000 || sizeLater > 10_000 {
			t.Errorf("%d commits in one format, %d of %d bytes in two, later %d of %d bytes", alone, both, size, later, sizeLater)
		}
		if ben.start.Position.Version != 100 {
			t.Errorf("started at %d", ben.start.Position.Version)
		}
	})
}

func TestOldCommitsAreReadInTheFormatOfWhoAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingFrames: 64, Chunk: 20})
		defer end()
		plan := w.create(1)
		w.commits(plan, 30)
		got := map[hub.Format][]string{}
		for _, format := range []hub.Format{hub.EventStream, hub.Native} {
			a := w.hears(plan, bare(10), format)
			a.sub.Refill(a.start.Ring, 10, func(first uint64, frames [][]byte) {
				for _, f := range frames {
					got[format] = append(got[format], string(f))
				}
			})
			wait(time.Second)
		}

		if n := len(got[hub.Native]); n == 0 || n != len(got[hub.EventStream]) {
			t.Fatalf("%d and %d frames", n, len(got[hub.EventStream]))
		}
		for i, text := range got[hub.Native] {
			if !strings.HasSuffix(got[hub.EventStream][i], "data: "+string(payload(t, []byte(text)))+"\n\n") {
				t.Errorf("frame %d: %q", i, got[hub.EventStream][i])
			}
		}
	})
}

func TestSocketIOClientsGetAPacketForEachEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		formats := []hub.Format{hub.Planned, hub.Shipped, hub.PlannedOffsets, hub.ShippedOffsets}
		w.commits(plan, 3)
		native := w.hears(plan, bare(0), hub.Native)
		var clients []*audience
		for _, f := range formats {
			clients = append(clients, w.hears(plan, hub.After{}, f))
		}
		w.commits(plan, 2)
		wait(time.Second)
		w.send(plan, wire.AppendEphemeral(nil, wire.Ephemeral{Session: plan, Name: wire.CommandFailed}))
		wait(time.Second)

		for i, c := range clients {
			name, failed := "graph:node-created", "command:failed"
			if i%2 == 1 {
				name, failed = "node-created", "command-executed"
			}
			if c.ring(formats[i], 3) != "" || native.ring(formats[i], 3) != "" {
				t.Error("a commit is written in a format that nobody had read when it came")
			}
			if !strings.Contains(c.frames[5], `42/graph,["`+name+`",{`) || c.frames[5] != c.ring(formats[i], 5) {
				t.Errorf("delivered %q", c.frames[5])
			}
			if withOffset := strings.Contains(c.frames[5], plan.String()+"/"); withOffset != (i >= 2) {
				t.Errorf("format %d: offsets %v", formats[i], withOffset)
			}
			if len(c.events) != 1 || !strings.Contains(c.events[0], `42/graph,["`+failed+`",{"session_id":"`+plan.String()) {
				t.Errorf("events %q", c.events)
			}
			var old []string
			c.sub.Refill(c.start.Ring, 0, func(_ uint64, frames [][]byte) {
				for _, f := range frames {
					old = append(old, string(f))
				}
			})
			wait(time.Second)
			if len(old) != 5 || old[4] != c.frames[5] || !strings.Contains(old[0], `42/graph,["`+name+`",{`) {
				t.Errorf("the log gave %q", old)
			}
		}
	})
}

func TestWhoWasNotUpToDateFindsTheEventsItMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		say := func() {
			w.send(plan, wire.AppendEphemeral(nil, wire.Ephemeral{Session: plan, Name: wire.ProjectSaved}))
			wait(time.Second)
		}
		ann := w.hears(plan, hub.After{}, hub.Planned)
		for range 3 {
			say()
		}
		late := w.hears(plan, hub.After{}, hub.Planned)
		say()

		all, told := ann.sub.Latest([hub.Topics]uint64{})
		rest, _ := ann.sub.Latest([hub.Topics]uint64{hub.EventTopic: 2})
		none, _ := ann.sub.Latest(told)
		ofLate, _ := late.sub.Latest([hub.Topics]uint64{})
		for name, c := range map[string]struct {
			text []byte
			want int
		}{"all": {all, 4}, "the rest": {rest, 2}, "none": {none, 0}, "who came later": {ofLate, 1}} {
			if n := strings.Count(string(c.text), `["project:saved",`); n != c.want {
				t.Errorf("%s: %d events, want %d", name, n, c.want)
			}
		}
	})
}
