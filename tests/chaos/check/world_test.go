package check_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/replica"
)

// world is a deployment that does everything right, made by hand, and the history that it leaves. Time goes on by a
// millisecond with every line.
type world struct {
	t        testing.TB
	lines    history.Slice
	sessions []*plan
	ops      int
	time     int64
}

// plan is a session of the world.
type plan struct {
	w      *world
	id     string
	canary string
	root   string
	pos    wire.Position
	log    []history.Line
	graph  *replica.Replica
	conns  []*conn
}

// conn is a client's connection, and where it stands.
type conn struct {
	client, name string
	pos          wire.Position
	hash         string
}

func newWorld(t testing.TB) *world { return &world{t: t} }

func (w *world) add(l history.Line) *history.Line {
	if l.Kind == "" {
		l.Kind = history.Note
	}
	w.time += int64(time.Millisecond)
	l.T = w.time
	w.lines = append(w.lines, l)
	return &w.lines[len(w.lines)-1]
}

func (w *world) mark(name, text string, sessions ...string) {
	w.add(history.Line{F: history.Mark, Mark: name, Text: text, Sessions: sessions})
}

// later lets time go by for all lines that follow.
func (w *world) later(d time.Duration) {
	w.time += int64(d)
}

// plan makes a session with a graph of one node, at version 1.
func (w *world) plan(seed byte) *plan {
	p := &plan{w: w, id: uuid.UUID{6: 0x40, 8: 0x80, 15: seed}.String(), root: uuid.UUID{0: 1, 15: seed}.String(), canary: history.NewCanary(uint64(seed)), graph: replica.New()}
	p.pos = wire.Position{Epoch: wire.Epoch(seed), Digest: wire.Digest{seed}}
	w.sessions = append(w.sessions, p)
	w.add(history.Line{F: history.Session, Session: p.id, Canary: p.canary})
	p.does(history.Load, "LoadGraph", event("project:loaded", `{"graph":{"roots":[{"id":%q,"blueprint_type_id":"t","name":"plan","order":"a","properties":{},"children":[]}]}}`, p.root))
	return p
}

// happening is one event of a commit.
type happening struct{ name, data string }

func event(name, format string, args ...any) happening {
	return happening{name, fmt.Sprintf(format, args...)}
}

// op begins an operation: its request is in the history.
func (p *plan) op(f history.Func, change ...func(*history.Line)) history.Line {
	p.w.ops++
	name := fmt.Sprintf("w-%d", p.w.ops)
	return p.attempt(history.Line{F: f, Session: p.id, Op: name, Attempt: 1, Actor: p.canary + "." + name, Keyed: true, Key: name, Body: "b"}, change...)
}

func (p *plan) attempt(l history.Line, change ...func(*history.Line)) history.Line {
	for _, c := range change {
		c(&l)
	}
	l.Kind = history.Invoke
	l.Began = p.w.add(l).T
	return l
}

// commit appends a commit to the log, and everybody on line gets it.
func (p *plan) commit(asked history.Line, kind, command string, events ...happening) wire.Record {
	p.w.t.Helper()
	common := fmt.Sprintf(`"session_id":%q,"project_id":null,"timestamp":"now","command_id":%q,"command_type":%q,"actor":%q`, p.id, command, kind, asked.Actor)
	var list []wire.Event
	for _, e := range events {
		list = append(list, wire.Event{Name: wire.EventName(e.name), Fields: []byte(e.data[1 : len(e.data)-1])})
		if err := p.graph.Apply(e.name, json.RawMessage(e.data)); err != nil {
			p.w.t.Fatal(err)
		}
	}
	if err := p.graph.Settle(); err != nil {
		p.w.t.Fatal(err)
	}
	rec := wire.Build(wire.Header{Session: uuid.MustParse(p.id), Epoch: p.pos.Epoch, Version: p.pos.Version + 1, Prev: p.pos.Digest}, []byte(common), list, nil)
	p.pos = rec.Position()
	raw := rec.AppendCommitFrame(nil)
	p.log = append(p.log, history.Line{Kind: history.Note, F: history.Log, Session: p.id, Position: p.pos.String(), Prev: rec.Prev.String(),
		Payload: history.Fingerprint(raw), Command: command, CommandType: kind, Actor: asked.Actor, Raw: raw})
	for _, c := range p.conns {
		p.gets(c, p.log[len(p.log)-1])
	}
	return rec
}

// gets lets a connection receive a commit.
func (p *plan) gets(c *conn, l history.Line) {
	c.pos, _ = wire.ParsePosition(l.Position)
	c.hash = p.graph.Hash()
	p.w.add(history.Line{F: history.Recv, Session: p.id, Client: c.client, Conn: c.name, Position: l.Position, Prev: l.Prev, Payload: l.Payload,
		Hash: c.hash, Canary: p.canary})
}

// answered records an answer.
func (p *plan) answered(l history.Line, kind history.Kind, change ...func(*history.Line)) *history.Line {
	l.Kind = kind
	for _, c := range change {
		c(&l)
	}
	return p.w.add(l)
}

// done is the answer 2xx of a commit.
func (p *plan) done(l history.Line, command string, more ...func(*history.Line)) *history.Line {
	return p.answered(l, history.OK, append([]func(*history.Line){func(l *history.Line) {
		l.Status, l.Command, l.Position, l.Reply, l.Canary = 200, command, p.pos.String(), "r"+command, p.canary
	}}, more...)...)
}

// does is a request that is carried out at once; it returns its line and its command's id.
func (p *plan) does(f history.Func, kind string, events ...happening) (history.Line, string) {
	p.w.t.Helper()
	l := p.op(f)
	command := fmt.Sprintf("command-%s-%d", p.id, p.w.ops)
	p.commit(l, kind, command, events...)
	p.done(l, command)
	return l, command
}

// creates makes a node under the root.
func (p *plan) creates(n byte) string {
	p.w.t.Helper()
	id := uuid.UUID{0: n, 1: 1}.String()
	p.does(history.Cmd, "CreateNode", creation(id, p.root, n)...)
	return id
}

func creation(id, parent string, n byte) []happening {
	order := string(rune('b' + n))
	return []happening{
		event("graph:node-created", `{"node_id":%q,"id":%q,"order":%q,"node":{"id":%q,"blueprint_type_id":"t","name":"n","properties":{}}}`, id, id, order, id),
		event("graph:node-linked", `{"parent_id":%q,"child_id":%q,"index":0,"order":%q}`, parent, id, order),
	}
}

func renaming(id, to string) happening {
	return event("graph:property-changed", `{"node_id":%q,"property_id":"name","new_value":%q,"name":%q}`, id, to, to)
}

// joins puts a client on a connection.
func (p *plan) joins(client, name string, after wire.Position, change ...func(*history.Line)) *conn {
	l := history.Line{F: history.Sub, Session: p.id, Client: client, Conn: name, Position: p.pos.String(), Canary: ""}
	if !after.IsZero() {
		l.After, l.Resumed = after.String(), true
	}
	for _, c := range change {
		c(&l)
	}
	p.w.add(l)
	c := &conn{client: client, name: name, pos: p.pos, hash: p.graph.Hash()}
	p.conns = append(p.conns, c)
	return c
}

// leaves ends a connection.
func (p *plan) leaves(c *conn) {
	p.conns = slices.DeleteFunc(p.conns, func(o *conn) bool { return o == c })
	p.w.add(history.Line{F: history.Disc, Session: p.id, Client: c.client, Conn: c.name})
}

// reads records a read of the graph.
func (p *plan) reads(f history.Func, change ...func(*history.Line)) {
	l := history.Line{Kind: history.OK, F: f, Session: p.id, Position: p.pos.String(), Began: p.w.time, Canary: p.canary}
	if f == history.Graph {
		l.Hash = p.graph.Hash()
	}
	for _, c := range change {
		c(&l)
	}
	p.w.add(l)
}

// ends brings the run to its end: all at rest, then away, then the logs.
func (w *world) ends() history.Slice {
	w.mark(history.Quiesce, "")
	for _, p := range w.sessions {
		for _, c := range p.conns {
			w.add(history.Line{F: history.Rest, Session: p.id, Client: c.client, Position: c.pos.String(), Hash: c.hash})
		}
		w.add(history.Line{Kind: history.OK, F: history.Presence, Session: p.id, Count: len(p.conns), Live: len(p.conns)})
	}
	for _, p := range w.sessions {
		for _, c := range slices.Clone(p.conns) {
			p.leaves(c)
		}
	}
	w.mark(history.Stop, "")
	w.add(history.Line{F: history.Usage, Node: "edge", Mark: history.Stop, Figures: map[string]float64{"go_goroutines": 60}})
	w.later(12 * time.Second)
	for _, p := range w.sessions {
		for _, l := range p.log {
			w.add(l)
		}
		w.add(history.Line{F: history.LogEnd, Session: p.id, Position: p.pos.String(), Oldest: 1})
	}
	return w.lines
}
