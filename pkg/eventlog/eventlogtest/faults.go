package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

func keyed(key string) *eventlog.IdempotencyKey {
	return &eventlog.IdempotencyKey{Key: key, Fingerprint: [16]byte{1}, Answer: []byte("answer to " + key)}
}

func (s suite) repeatedKey(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	late := w.Another()
	c := w.Decides(Image(1, "one"))
	c.Key = keyed("k")
	w.Commits(t, c)
	w.Writes(t, Image(2, "two"))
	before := Dump(t, rdb, w.Session)

	for name, writer := range map[string]*Writer{"late": late, "current": w.Another()} {
		c := writer.Decides(Image(1, "one"))
		c.Key = keyed("k")
		c.Key.Fingerprint, c.Key.Answer = [16]byte{2}, []byte("another answer")
		_, err := log.Commit(t.Context(), c)

		var duplicate *eventlog.DuplicateError
		if !errors.As(err, &duplicate) || string(duplicate.Answer) != "answer to k" || duplicate.Fingerprint != [16]byte{1} {
			t.Errorf("%s writer: %+v, %v", name, duplicate, err)
		}
	}

	Same(t, before, Dump(t, rdb, w.Session))
	head, answer, err := log.Answer(t.Context(), w.Session, "k")
	must(t, err)
	if answer == nil || string(answer.Answer) != "answer to k" || head.Position != w.At {
		t.Errorf("looked up %+v at %s", answer, head.Position)
	}
	_, answer, err = log.Answer(t.Context(), w.Session, "never used")
	if answer != nil || err != nil {
		t.Errorf("an unused key answers %+v, %v", answer, err)
	}
}

func (s suite) keyGenerations(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	write := func(key string) {
		c := w.Decides(Image(1, key))
		c.Key = keyed(key)
		w.Commits(t, c)
	}
	known := func(key string) bool {
		_, answer, err := log.Answer(t.Context(), w.Session, key)
		must(t, err)
		return answer != nil
	}
	fill := func(suffix string) {
		var records []any
		for i := range 10_000 {
			records = append(records, fmt.Sprint("filler ", i), "0123456789abcdef")
		}
		must(t, rdb.HSet(t.Context(), Key(t, rdb, w.Session, suffix), records...).Err())
	}

	write("first")
	fill("i0")
	write("second")
	if !known("first") || !known("second") {
		t.Error("a record of the generation before is gone")
	}
	fill("i1")
	write("third")
	if known("first") || !known("second") || !known("third") {
		t.Error("want the two newest generations and no more")
	}
	head := Key(t, rdb, w.Session, "h")
	aged := fmt.Sprint("0 ", time.Now().Add(-25*time.Hour).UnixMilli())
	must(t, rdb.HSet(t.Context(), head, "i", aged).Err())
	write("after a day")
	if known("second") || !known("third") || !known("after a day") {
		t.Error("a day did not end the generation")
	}
}

// furnished is a session that has something under every key.
func furnished(t testing.TB, log *eventlog.Log) *Writer {
	t.Helper()
	w := Creates(t, log)
	for i := range 126 { // one mark is made, and the commit after these and the next makes another
		c := w.Decides(Image(i, "one"))
		c.Stack, c.Entry = eventlog.StackPush, eventlog.Entry{Version: w.At.Version + 1, Payload: []byte("inverse")}
		c.Key = keyed(fmt.Sprint("key ", i))
		c.Meta.Attachments = map[string][]byte{"doc": []byte("document")}
		w.Commits(t, c)
	}
	c := w.Decides(Gone(125))
	c.Stack, c.Entry = eventlog.StackUndo, eventlog.Entry{Version: w.At.Version, Payload: []byte("redo")}
	w.Commits(t, c)
	return w
}

// Everything decides a commit that touches every key of a session made by furnished.
func everything(w *Writer) eventlog.Commit {
	c := w.Decides(Image(1, "changed"), Gone(2))
	c.Stack, c.Entry = eventlog.StackPush, eventlog.Entry{Version: w.At.Version + 1, Payload: []byte("inverse")}
	c.Key = keyed("a new key")
	c.Meta.Attachments = map[string][]byte{"doc": []byte("changed"), "other": nil}
	return c
}

// Furnished is a session that has something under every key, and Everything a commit that touches all of them.
func Furnished(t testing.TB, log *eventlog.Log) (w *Writer, everythingOf func(*Writer) eventlog.Commit) {
	return furnished(t, log), everything
}

func (s suite) wrongTypes(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	suffixes := []string{"h", "l", "m", "n:0", "u", "r", "xu", "xr", "i0", "i1", "a"}
	for _, suffix := range suffixes {
		w := furnished(t, log)
		head := Key(t, rdb, w.Session, "h")
		name := head[:len(head)-1] + suffix
		must(t, rdb.Del(t.Context(), name).Err())
		if rdb.Type(t.Context(), head).Val() == "hash" && suffix == "l" {
			must(t, rdb.HSet(t.Context(), name, "a", "hash").Err())
		} else {
			must(t, rdb.Set(t.Context(), name, "a string", 0).Err())
		}
		before := Dump(t, rdb, w.Session)

		_, err := log.Commit(t.Context(), everything(w))

		if !errors.Is(err, eventlog.ErrTorn) {
			t.Errorf("%s of a wrong type: %v, want torn", suffix, err)
		}
		reopen(rdb, head)
		Same(t, before, Dump(t, rdb, w.Session))
		s.deletes(t, log, rdb, w)
	}
}

// The live nodes are whole: the session goes on, and what was staged is staged again.
func (s suite) wrongStage(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := furnished(t, log)
	images := slices.Values([]wire.Image{Image(1, "staged")})
	staged, err := log.Stage(t.Context(), w.Session, images)
	must(t, err)
	name := Key(t, rdb, w.Session, fmt.Sprint("n:", staged.Generation))
	must(t, rdb.Del(t.Context(), name).Err())
	must(t, rdb.Set(t.Context(), name, "a string", 0).Err())
	before := Dump(t, rdb, w.Session)

	_, err = log.Commit(t.Context(), w.Switches(staged))

	wants(t, err, eventlog.ErrStaged)
	Same(t, before, Dump(t, rdb, w.Session))
	staged, err = log.Stage(t.Context(), w.Session, images)
	must(t, err)
	w.Commits(t, w.Switches(staged))
}

func (s suite) wrongLife(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := furnished(t, log)
	head := Key(t, rdb, w.Session, "h")
	presence := head[:len(head)-1] + "p"
	must(t, rdb.Set(t.Context(), presence, "a string", 0).Err())
	begins(t, log) // an edge on which somebody might be
	before := Dump(t, rdb, w.Session)
	now := time.Now().Add(time.Hour)

	wants(t, log.Delete(t.Context(), w.Session, &now), eventlog.ErrTorn)

	Same(t, before, Dump(t, rdb, w.Session))
	s.deletes(t, log, rdb, w) // not asking who is there

	w = furnished(t, log)
	head = Key(t, rdb, w.Session, "h")
	must(t, rdb.Del(t.Context(), head).Err())
	must(t, rdb.Set(t.Context(), head, "a string", 0).Err())
	before = Dump(t, rdb, w.Session)

	_, err := log.Create(t.Context(), w.Session, Fresh())

	wants(t, err, eventlog.ErrTorn)
	Same(t, before, Dump(t, rdb, w.Session))
	s.deletes(t, log, rdb, w)
}

func (s suite) torn(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	ctx := t.Context()
	for what, harm := range map[string]func(key func(string) string) error{
		"a stream ahead of the head": func(key func(string) string) error {
			return rdb.XAdd(ctx, &redis.XAddArgs{Stream: key("l"), ID: "128-0", Values: []string{"r", "x", "d", "x"}}).Err()
		},
		"a stream ahead of the head with a hole": func(key func(string) string) error {
			return errors.Join(rdb.XAdd(ctx, &redis.XAddArgs{Stream: key("l"), ID: "199-0", Values: []string{"r", "x", "d", "x"}}).Err(),
				rdb.XDel(ctx, key("l"), "1-0").Err())
		},
		"a log that lost its tail":            func(key func(string) string) error { return rdb.XDel(ctx, key("l"), "127-0").Err() },
		"a log that is gone":                  func(key func(string) string) error { return rdb.Del(ctx, key("l")).Err() },
		"a node that is gone":                 func(key func(string) string) error { return rdb.HDel(ctx, key("n:0"), string(nodeID(1))).Err() },
		"nodes that are gone":                 func(key func(string) string) error { return rdb.Del(ctx, key("n:0")).Err() },
		"an undo stack that is gone":          func(key func(string) string) error { return rdb.Del(ctx, key("u")).Err() },
		"a redo stack that is gone":           func(key func(string) string) error { return rdb.Del(ctx, key("r")).Err() },
		"undo payloads that are gone":         func(key func(string) string) error { return rdb.Del(ctx, key("xu")).Err() },
		"a head without accounts of its log":  func(key func(string) string) error { return rdb.HDel(ctx, key("h"), "k").Err() },
		"a head with nonsense about its keys": func(key func(string) string) error { return rdb.HSet(ctx, key("h"), "i", "x").Err() },
		"a head without a valid digest":       func(key func(string) string) error { return rdb.HSet(ctx, key("h"), "d", "none").Err() },
	} {
		w := furnished(t, log)
		must(t, harm(func(suffix string) string { return Key(t, rdb, w.Session, suffix) }))
		before := Dump(t, rdb, w.Session)

		_, err := log.Commit(ctx, everything(w))

		if !errors.Is(err, eventlog.ErrTorn) {
			t.Errorf("%s: %v, want torn", what, err)
		}
		reopen(rdb, Key(t, rdb, w.Session, "h"))
		Same(t, before, Dump(t, rdb, w.Session))
		s.deletes(t, log, rdb, w)
	}
}

// reopen takes back that a session was condemned, if it was.
func reopen(rdb redis.UniversalClient, head string) {
	_ = rdb.HDel(context.Background(), head, "x").Err()
}

// deletes deletes a session, whatever is wrong with it, so that nothing is left of it but its tombstone.
func (s suite) deletes(t *testing.T, log *eventlog.Log, rdb redis.UniversalClient, w *Writer) {
	t.Helper()
	if err := log.Delete(t.Context(), w.Session, nil); err != nil {
		t.Errorf("it cannot be deleted: %v", err)
	}
	if left := Keys(t, rdb, w.Session); len(left) != 1 {
		t.Errorf("left of it: %v", left)
	}
}

func (s suite) condemned(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	w.Writes(t, Image(1, "one"), Image(2, "two"))
	staged, err := log.Stage(t.Context(), w.Session, slices.Values([]wire.Image{Image(3, "three")}))
	must(t, err)
	nodes := Key(t, rdb, w.Session, "n:0")
	must(t, rdb.HDel(t.Context(), nodes, string(nodeID(1))).Err())
	_, first := log.Commit(t.Context(), w.Decides(Image(4, "four")))
	must(t, rdb.HSet(t.Context(), nodes, string(nodeID(1)), "one").Err()) // all is right again, but nobody knows since when

	_, commit := log.Commit(t.Context(), w.Decides(Image(4, "four")))
	_, replace := log.Commit(t.Context(), w.Switches(staged))
	_, head := log.Head(t.Context(), w.Session)
	_, read := log.Read(t.Context(), w.Session, 0, 10)
	_, load := log.Load(t.Context(), w.Session)
	again, err := log.Condemn(t.Context(), w.Session, "another reason")
	must(t, err)

	for what, err := range map[string]error{"the commit that finds it": first, "commit": commit, "replace": replace, "head": head,
		"read": read, "load": load, "heads": log.Heads(t.Context(), []uuid.UUID{w.Session})[0].Err} {
		if !errors.Is(err, eventlog.ErrTorn) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !strings.Contains(head.Error(), "nodes") || again {
		t.Errorf("the first reason is not kept: %v, condemned again: %t", head, again)
	}
	must(t, rdb.Del(t.Context(), Key(t, rdb, w.Session, "n:1")).Err()) // what was staged would go by itself
	s.deletes(t, log, rdb, w)
	_, head = log.Head(t.Context(), w.Session)
	wants(t, head, eventlog.ErrGone)
	_, err = log.Condemn(t.Context(), w.Session, "it is gone")
	wants(t, err, eventlog.ErrGone)
}

// Two writers may decide the same request at the same moment on the same base, and encode it alike.
func (s suite) equalCommits(t *testing.T) {
	mine, _ := s.log(t, eventlog.Config{})
	yours, _ := s.log(t, eventlog.Config{})
	w := Creates(t, mine)
	for i := range 20 {
		c := w.Decides(Image(i, "one"))
		c.Key = keyed(fmt.Sprint("key ", i))
		next := w.Another()
		next.Took(c)
		other := next.Decides(Image(i, "two"))
		results := make(chan error, 2)
		go func() {
			_, err := mine.Commit(t.Context(), c)
			results <- err
		}()
		go func() { // in a group, whose second proves that the first is in the log, whoever wrote it
			all := yours.CommitAll(t.Context(), []eventlog.Commit{c, other})
			results <- all[0].Err
		}()

		firsts := 0
		for range 2 {
			err := <-results
			switch {
			case err == nil:
				firsts++
			case !errors.As(err, new(*eventlog.DuplicateError)):
				t.Errorf("%d: %v", i, err)
			}
		}
		if firsts != 1 {
			t.Fatalf("%d: %d commits were the first, want 1", i, firsts)
		}
		tail, err := mine.ReadFrom(t.Context(), w.Session, w.At, 10)
		must(t, err)
		w.CatchesUp(t, tail.Records)
	}
}

func nodeID(n int) []byte { id := Image(n, "").Node; return id[:] }

func (s suite) absent(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := &Writer{Log: log, Session: uuid.New(), At: fromFresh()}
	ctx := t.Context()

	_, commit := log.Commit(ctx, w.Decides(Image(1, "one")))
	_, head := log.Head(ctx, w.Session)
	_, read := log.Read(ctx, w.Session, 0, 10)
	_, load := log.Load(ctx, w.Session)
	_, stage := log.Stage(ctx, w.Session, nil)

	for _, err := range []error{commit, head, read, load, stage, log.Update(ctx, w.Session, eventlog.HeadChange{}),
		log.SetClients(ctx, w.Session, "edge", 1), log.Delete(ctx, w.Session, nil)} {
		wants(t, err, eventlog.ErrNoSession)
		if errors.Is(err, eventlog.ErrGone) {
			t.Errorf("%v, though it never was", err)
		}
	}
	Same(t, map[string]string{}, Dump(t, rdb, w.Session))
}

func (s suite) ready(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})

	must(t, log.Ready(t.Context()))
	must(t, log.SelfTest(t.Context()))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, log.Ready(ended), eventlog.ErrUnavailable)
	_ = rdb
}
