// Package eventlogtest holds the conformance suite of the event log and the writer that its tests use.
//
// The suite says what every Redis that Talus runs on must do. It runs against miniredis, which proves nothing about refusals
// inside a script (miniredis has no memory limit, no ACL and no replicas), and against a real server, which is the truth.
package eventlogtest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// Writer is a writer of one session: it knows the stored nodes at its position, as a command service does. It is not safe for
// concurrent use; several writers of one session are several Writers.
type Writer struct {
	Log        *eventlog.Log
	Session    uuid.UUID
	At         wire.Position
	Generation uint32
	Nodes      map[uuid.UUID][]byte
	Sum        uint64
}

// Creates makes a new session and its first writer.
func Creates(t testing.TB, log *eventlog.Log) *Writer {
	t.Helper()
	w := &Writer{Log: log, Session: uuid.New(), Nodes: map[uuid.UUID][]byte{}}
	head, err := log.Create(t.Context(), w.Session, Fresh())
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	w.At = head.Position
	return w
}

// Fresh describes a new session with a random epoch and genesis.
func Fresh() eventlog.NewSession {
	n := eventlog.NewSession{Epoch: wire.Epoch(rand.Uint64() | 1)}
	binary.BigEndian.PutUint64(n.Genesis[:], rand.Uint64())
	return n
}

// Another is a second writer of the same session that has seen the same.
func (w *Writer) Another() *Writer {
	other := *w
	other.Nodes = maps.Clone(w.Nodes)
	return &other
}

// Image is a node with some content. Its id is made of n, so that the same n is the same node.
func Image(n int, content string) wire.Image {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return wire.Image{Node: id, Bytes: []byte(content)}
}

// Gone is the same node as Image(n, …) after its deletion.
func Gone(n int) wire.Image { return wire.Image{Node: Image(n, "").Node} }

// Decides builds the commit that sets these nodes, without committing it.
func (w *Writer) Decides(images ...wire.Image) eventlog.Commit {
	c := eventlog.Commit{Session: w.Session, Base: w.At, Generation: w.Generation, Images: images, Count: uint64(len(w.Nodes)), Sum: w.Sum}
	for _, im := range images {
		if old, ok := w.Nodes[im.Node]; ok {
			c.Count--
			c.Sum -= wire.ImageHash(im.Node, old)
		}
		if im.Bytes != nil {
			c.Count++
			c.Sum += wire.ImageHash(im.Node, im.Bytes)
		}
	}
	c.Delta = wire.AppendDelta(nil, wire.Delta{Count: c.Count, Sum: c.Sum, Generation: w.Generation, Images: images})
	c.Record = Record(w.Session, w.At, c.Delta, "")
	return c
}

// Switches builds the commit that replaces all nodes by staged ones.
func (w *Writer) Switches(staged eventlog.Staged) eventlog.Commit {
	c := eventlog.Commit{Session: w.Session, Base: w.At, Generation: w.Generation, Staged: &staged, Stack: eventlog.StackClear,
		Count: staged.Count, Sum: staged.Sum}
	c.Delta = wire.AppendDelta(nil, wire.Delta{Count: c.Count, Sum: c.Sum, Generation: staged.Generation, Replaced: true})
	c.Record = Record(w.Session, w.At, c.Delta, "")
	return c
}

// Record is a record with one event that carries text.
func Record(session uuid.UUID, base wire.Position, delta []byte, text string) wire.Record {
	header := wire.Header{Session: session, Command: uuid.New(), Epoch: base.Epoch, Version: base.Version + 1, Prev: base.Digest,
		Time: time.Now().UnixMilli()}
	common := fmt.Appendf(nil, `"session_id":%q`, session)
	return wire.Build(header, common, []wire.Event{{Name: wire.NodeCreated, Fields: fmt.Appendf(nil, `"text":%q`, text)}}, delta)
}

// Took says that the commit is in the log: the writer goes on from there.
func (w *Writer) Took(c eventlog.Commit) {
	w.At, w.Sum = c.Record.Position(), c.Sum
	if c.Staged != nil {
		w.Generation, w.Nodes = c.Staged.Generation, map[uuid.UUID][]byte{}
	}
	w.apply(c.Images)
}

func (w *Writer) apply(images []wire.Image) {
	for _, im := range images {
		if im.Bytes == nil {
			delete(w.Nodes, im.Node)
		} else {
			w.Nodes[im.Node] = im.Bytes
		}
	}
}

// CatchesUp applies what others have committed.
func (w *Writer) CatchesUp(t testing.TB, records []eventlog.LogEntry) {
	t.Helper()
	for _, e := range records {
		if !e.Record.Follows(w.At) || !e.Record.VerifyDelta(e.Delta) {
			t.Fatalf("version %d does not follow %s, or its delta is not its own", e.Record.Version, w.At)
		}
		delta, err := wire.ParseDelta(e.Delta)
		if err != nil {
			t.Fatal(err)
		}
		w.apply(delta.Images)
		w.At, w.Sum, w.Generation = e.Record.Position(), delta.Sum, delta.Generation
	}
}

// Commits must succeed.
func (w *Writer) Commits(t testing.TB, c eventlog.Commit) wire.Position {
	t.Helper()
	at, err := w.Log.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("commit of version %d: %v", c.Record.Version, err)
	}
	if at != c.Record.Position() {
		t.Fatalf("commit returned %s, want %s", at, c.Record.Position())
	}
	w.Took(c)
	return at
}

// Writes sets nodes in a commit that must succeed.
func (w *Writer) Writes(t testing.TB, images ...wire.Image) wire.Position {
	t.Helper()
	return w.Commits(t, w.Decides(images...))
}
