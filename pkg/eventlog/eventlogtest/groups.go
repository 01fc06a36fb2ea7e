package eventlogtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// draft is one commit that can be decided in any session that has seen the same before.
type draft struct {
	images  []wire.Image
	op      eventlog.StackOp
	version uint64
	payload string
	key     *eventlog.IdempotencyKey
	meta    eventlog.HeadChange
}

func (d draft) decide(w *Writer) eventlog.Commit {
	c := w.Decides(d.images...)
	c.Stack, c.Key, c.Meta = d.op, d.key, d.meta
	if d.op == eventlog.StackPush {
		d.version = c.Record.Version
	}
	if d.op != eventlog.StackNone && d.op != eventlog.StackClear {
		c.Entry = eventlog.Entry{Version: d.version, Command: uuid.UUID{1}, Type: "MoveNode", Payload: []byte(d.payload)}
	}
	return c
}

// drafter draws commits, and follows the stacks as the model of the reliability page has them.
type drafter struct {
	rng        *rand.Rand
	depth      int
	version    uint64
	undo, redo []uint64
}

func (d *drafter) next() draft {
	d.version++
	n := d.rng.IntN(40)
	next := draft{images: []wire.Image{Image(n, strings.Repeat("x", d.rng.IntN(200)+1))}, payload: strings.Repeat("p", d.rng.IntN(60))}
	if d.rng.IntN(4) == 0 {
		next.images = append(next.images, Gone(n+1))
	}
	if d.rng.IntN(2) == 0 {
		next.key = keyed(fmt.Sprint("key ", d.version))
	}
	switch d.rng.IntN(8) {
	case 0:
		next.meta.Fields = map[string]string{"name": fmt.Sprint("name ", d.version)}
	case 1:
		next.meta.Attachments = map[string][]byte{"doc": fmt.Appendf(nil, "document %d", d.version)}
	case 2:
		next.meta.Attachments = map[string][]byte{"doc": nil}
	}
	d.move(&next, d.rng.IntN(20))
	return next
}

func (d *drafter) move(next *draft, kind int) {
	top := func(list *[]uint64) uint64 {
		v := (*list)[len(*list)-1]
		*list = (*list)[:len(*list)-1]
		return v
	}
	switch {
	case kind < 5 && len(d.undo) > 0:
		next.op, next.version = eventlog.StackUndo, top(&d.undo)
		d.redo = append(d.redo, next.version)
	case kind < 8 && len(d.redo) > 0:
		next.op, next.version = eventlog.StackRedo, top(&d.redo)
		d.undo = append(d.undo, next.version)
	case kind == 8:
		next.op, d.undo, d.redo = eventlog.StackClear, nil, nil
	case kind > 10:
		next.op = eventlog.StackPush
		d.undo, d.redo = append(d.undo, d.version), nil
	}
	d.undo, d.redo = d.undo[max(0, len(d.undo)-d.depth):], d.redo[max(0, len(d.redo)-d.depth):]
}

// What a group leaves is what its commits leave one by one: nodes, stacks, keys, attachments, marks, and where the log is cut.
func (s suite) groupOrAlone(t *testing.T) {
	const depth = 6
	log, rdb := s.log(t, eventlog.Config{Retention: 50, MaxLogBytes: 96 << 10, UndoDepth: depth, UndoBytes: 400})
	alone, together := Creates(t, log), Creates(t, log)
	d := &drafter{rng: rand.New(rand.NewPCG(1, 2)), depth: depth}
	for range 40 {
		var group []eventlog.Commit
		decided := together.Another()
		for range 1 + d.rng.IntN(48) {
			next := d.next()
			alone.Commits(t, next.decide(alone))
			c := next.decide(decided)
			decided.Took(c)
			group = append(group, c)
		}
		for i, r := range log.CommitAll(t.Context(), group) {
			if r.Err != nil || r.Position != group[i].Record.Position() {
				t.Fatalf("version %d: %v, %v", group[i].Record.Version, r.Position, r.Err)
			}
		}
		together = decided
	}
	wants(t, verifies(t, log, alone), nil)
	wants(t, verifies(t, log, together), nil)
	a, err := log.Head(t.Context(), alone.Session)
	must(t, err)
	b, err := log.Head(t.Context(), together.Session)
	must(t, err)
	if a.Oldest == 1 || a.UndoTruncated == 0 {
		t.Errorf("nothing was cut: %+v", a)
	}
	b.Position, b.CreatedAt, b.LastActivity = a.Position, a.CreatedAt, a.LastActivity
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("heads are\n%+v, and of groups\n%+v", a, b)
	}
	for _, suffix := range []string{"u", "r", "xu", "xr", "a"} {
		one, other := content(t, rdb, alone.Session, suffix), content(t, rdb, together.Session, suffix)
		if one != other {
			t.Errorf("%s is %s, and of groups %s", suffix, one, other)
		}
	}
	for v := range d.version {
		key := fmt.Sprint("key ", v+1)
		_, one, err := log.Answer(t.Context(), alone.Session, key)
		must(t, err)
		_, other, err := log.Answer(t.Context(), together.Session, key)
		must(t, err)
		if (one == nil) != (other == nil) {
			t.Errorf("%s is known: %v, and of groups %v", key, one != nil, other != nil)
		}
	}
}

// A group ends at the first commit that is refused, whatever the reason; those before it are whole, those behind are conflicts.
func (s suite) groupEnds(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	for what, spoil := range map[string]func(w *Writer, group []eventlog.Commit){
		"a key that was used before": func(_ *Writer, group []eventlog.Commit) { group[2].Key = keyed("used") },
		"a key that the group used":  func(_ *Writer, group []eventlog.Commit) { group[0].Key, group[2].Key = keyed("new"), keyed("new") },
		"another base":               func(w *Writer, group []eventlog.Commit) { group[2] = w.Decides(Image(9, "other")) },
		"a stack that moved": func(_ *Writer, group []eventlog.Commit) {
			group[2].Stack, group[2].Entry.Version = eventlog.StackRedo, 1
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := Creates(t, log)
			first := w.Decides(Image(0, "first"))
			first.Key = keyed("used")
			w.Commits(t, first)
			group := make([]eventlog.Commit, 5)
			decided := w.Another()
			for i := range group {
				group[i] = decided.Decides(Image(i, "one of a group"))
				decided.Took(group[i])
			}
			spoil(w, group)

			results := log.CommitAll(t.Context(), group)

			for i, r := range results {
				if (r.Err == nil) != (i < 2) || i > 2 && !errors.As(r.Err, new(*eventlog.ConflictError)) {
					t.Errorf("commit %d: %v", i, r.Err)
				}
			}
			for _, c := range group[:2] {
				w.Took(c)
			}
			wants(t, verifies(t, log, w), nil)
			w.Writes(t, Image(1, "afterwards"))
		})
	}
}

// The second of a group meets a key of the wrong type: the first is committed, and whole.
func (s suite) groupMeetsWrongTypes(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	for _, suffix := range []string{"u", "r", "xu", "xr", "i0", "i1", "a"} {
		w := furnished(t, log)
		head := Key(t, rdb, w.Session, "h")
		name := head[:len(head)-1] + suffix
		must(t, rdb.Del(t.Context(), name).Err())
		must(t, rdb.Set(t.Context(), name, "a string", 0).Err())
		first := w.Decides(Image(1, "the first"))
		w.Took(first)

		results := log.CommitAll(t.Context(), []eventlog.Commit{first, everything(w)})

		if results[0].Err != nil || !errors.Is(results[1].Err, eventlog.ErrTorn) {
			t.Errorf("%s of a wrong type: %v, %v", suffix, results[0].Err, results[1].Err)
		}
		reopen(rdb, head)
		wants(t, verifies(t, log, w), nil)
		s.deletes(t, log, rdb, w)
	}
}

// A graph is replaced in the middle of a group.
func (s suite) groupWithStage(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	staged, err := log.Stage(t.Context(), w.Session, slices.Values([]wire.Image{Image(1, "staged"), Image(2, "staged")}))
	must(t, err)
	decided := w.Another()
	var group []eventlog.Commit
	take := func(c eventlog.Commit) {
		group = append(group, c)
		decided.Took(c)
	}
	take(decided.Decides(Image(7, "before")))
	take(decided.Switches(staged))
	for i := 1; i <= 2; i++ {
		decided.Nodes[Image(i, "").Node] = []byte("staged")
	}
	take(decided.Decides(Image(8, "after")))
	take(decided.Decides(Gone(1)))

	for i, r := range log.CommitAll(t.Context(), group) {
		if r.Err != nil {
			t.Errorf("commit %d: %v", i, r.Err)
		}
	}

	wants(t, verifies(t, log, decided), nil)
}

// content is what a key of a session holds, or nothing; the order of a hash does not count.
func content(t testing.TB, rdb redis.UniversalClient, session uuid.UUID, suffix string) string {
	t.Helper()
	for name, text := range Dump(t, rdb, session) {
		if strings.HasSuffix(name, session.String()+":"+suffix) {
			return text
		}
	}
	return ""
}
