package workload

import (
	"context"
	"fmt"
	"maps"

	"github.com/talus-tally/talus/tests/chaos/history"
)

// intention is what a writer wants to do.
type intention struct {
	f                       history.Func
	path                    string
	body                    map[string]any
	target, parent          string
	ifMatch                 string
	expectTop               uint64
	creates, deletes, moves bool
}

const (
	crowd = 120 // nodes from which on more are deleted than made
	few   = 40  // nodes up to which a kit is applied, which may double them
)

// draw draws the next intention. It may read the session's head first.
func (p *writer) draw(ctx context.Context) intention {
	n := p.rng.IntN(100)
	if p.session.size() > crowd && n < 30 {
		return p.delete()
	}
	switch {
	case n < 28:
		return p.create()
	case n < 44:
		return p.update()
	case n < 52:
		return p.move()
	case n < 58:
		return p.command("ReorderNode", p.session.pick(p.rng, false), map[string]any{"new_index": p.rng.IntN(5)})
	case n < 63:
		return p.delete()
	case n < 67:
		return p.hang()
	case n < 70:
		return p.rare()
	case n < 75:
		return p.batch()
	case n < 83:
		return p.unwind(history.Undo)
	case n < 90:
		return p.unwind(history.Redo)
	case n < 98:
		return p.compareAndSet(ctx)
	default:
		return p.stranger()
	}
}

// command is a command about a node.
func (p *writer) command(kind, target string, data map[string]any) intention {
	if target != "" {
		data["node_id"] = target
	}
	return intention{f: history.Cmd, path: "/commands/execute", target: target,
		body: map[string]any{"session_id": p.session.id, "command_type": kind, "data": data}}
}

func (p *writer) text() string { return fmt.Sprintf("%s %d", p.session.canary, p.rng.IntN(1000)) }

// value is a value of a property, of any kind.
func (p *writer) value() any {
	switch p.rng.IntN(6) {
	case 0:
		return p.rng.IntN(1 << 30)
	case 1:
		return p.rng.IntN(2) == 0
	case 2:
		return nil
	case 3:
		return []any{p.text(), p.rng.Float64()}
	default:
		return p.text() + " ü ☃ \"quoted\" <b> & \\"
	}
}

func (p *writer) property() string { return fmt.Sprintf("p%d", p.rng.IntN(4)) }

func (p *writer) create() intention {
	parent := ""
	data := map[string]any{"blueprint_type_id": "thing", "name": p.text()}
	if p.rng.IntN(10) > 0 {
		parent = p.session.pick(p.rng, true)
		data["parent_id"] = parent
	}
	if p.rng.IntN(3) == 0 {
		data["index"] = p.rng.IntN(4)
	}
	if p.rng.IntN(4) == 0 {
		data["id"] = newID(p.rng)
	}
	if p.rng.IntN(2) == 0 {
		data["properties"] = map[string]any{p.property(): p.text()}
	}
	in := p.command("CreateNode", "", data)
	in.target, in.parent, in.creates = parent, parent, true
	return in
}

func (p *writer) update() intention {
	id, value := p.property(), p.value()
	if p.rng.IntN(3) == 0 {
		id, value = "name", p.text()
	}
	return p.command("UpdateProperty", p.session.pick(p.rng, true), map[string]any{"property_id": id, "new_value": value})
}

func (p *writer) move() intention {
	parent := p.session.pick(p.rng, true)
	in := p.command("MoveNode", p.session.pick(p.rng, false), map[string]any{"new_parent_id": parent})
	in.moves, in.parent, in.target = true, parent, "" // either node may be the one that is not there
	return in
}

func (p *writer) delete() intention {
	in := p.command("DeleteNode", p.session.pick(p.rng, false), map[string]any{})
	in.deletes = in.target != p.session.root
	return in
}

// hang takes a node from its parent, or hangs a root under one.
func (p *writer) hang() intention {
	child := p.session.pick(p.rng, false)
	parent, kind := p.session.parentOf(child), "UnlinkNode"
	if parent == "" {
		parent, kind = p.session.pick(p.rng, true), "LinkNode"
	}
	return p.command(kind, "", map[string]any{"parent_id": parent, "child_id": child})
}

// rare is what people seldom do: a kit, a deleted property, another graph.
func (p *writer) rare() intention {
	switch n := p.rng.IntN(8); {
	case n == 0:
		return intention{f: history.Load, path: "/sessions/" + p.session.id + "/load-graph", body: p.graph()}
	case n < 3 && p.session.size() < few:
		return p.command("ApplyKit", "", map[string]any{"target_id": p.session.root, "kit_root_id": p.session.pick(p.rng, false)})
	default:
		in := p.command("DeleteProperty", p.session.pick(p.rng, true), map[string]any{"property_id": p.property()})
		in.target = "" // a property that is not set is refused in its own way
		return in
	}
}

// graph is a graph of a few nodes below the session's root.
func (p *writer) graph() map[string]any {
	nodes := []any{}
	children := []string{}
	for range 3 + p.rng.IntN(5) {
		id := newID(p.rng)
		children = append(children, id)
		nodes = append(nodes, map[string]any{"id": id, "type": "thing", "name": p.text(), "properties": map[string]any{"p1": p.text()}})
	}
	nodes = append(nodes, map[string]any{"id": p.session.root, "type": "thing", "name": "plan " + p.session.canary, "children": children})
	return map[string]any{"graph": map[string]any{"nodes": nodes}}
}

// batch makes a node with a child and renames it, in one commit.
func (p *writer) batch() intention {
	item := func(kind string, data map[string]any) map[string]any {
		return map[string]any{"command_type": kind, "data": data}
	}
	parent := p.session.pick(p.rng, true)
	commands := []any{
		item("CreateNode", map[string]any{"blueprint_type_id": "thing", "name": p.text(), "parent_id": parent, "ref": "a"}),
		item("CreateNode", map[string]any{"blueprint_type_id": "thing", "name": p.text(), "parent_id": "a"}),
		item("UpdateProperty", map[string]any{"node_id": "a", "property_id": p.property(), "new_value": p.text()}),
	}
	if p.rng.IntN(3) == 0 {
		commands = append(commands, item("MoveNode", map[string]any{"node_id": "a", "new_parent_id": p.session.root}))
	}
	return intention{f: history.Batch, path: "/commands/batch", body: map[string]any{"session_id": p.session.id, "commands": commands}}
}

// unwind is an undo or a redo, sometimes only if the top is what the writer thinks.
func (p *writer) unwind(f history.Func) intention {
	in := intention{f: f, path: "/sessions/" + p.session.id + "/" + string(f), body: map[string]any{}}
	if _, top := p.session.latest(); top > 0 && p.rng.IntN(3) == 0 {
		in.expectTop = top
		in.body["expect_top"] = top
	}
	return in
}

// compareAndSet is an update of exactly the state that the writer knows, often a fresh one.
func (p *writer) compareAndSet(ctx context.Context) intention {
	if p.rng.IntN(3) > 0 {
		a := p.w.read(context.WithoutCancel(ctx), &request{session: p.session, client: p.name, node: p.any(), f: history.Get,
			path: "/sessions/" + p.session.id + "/info"}, nil)
		if a.kind == history.OK {
			p.session.at(a.position, 0)
		}
	}
	in := p.update()
	if p.rng.IntN(2) == 0 {
		in = p.create()
	}
	position, _ := p.session.latest()
	if p.rng.IntN(4) == 0 {
		position = p.session.earlier()
	}
	in.ifMatch = position.String()
	return in
}

// stranger is a command about a node that never was.
func (p *writer) stranger() intention {
	in := p.update()
	data := maps.Clone(in.body["data"].(map[string]any))
	data["node_id"] = newID(p.rng)
	in.body["data"], in.target = data, data["node_id"].(string)
	return in
}
