package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/talus-tally/talus/pkg/graph"
)

// id returns the n-th of the test's ids.
func id(n int) graph.NodeID {
	return uuid.UUID{0: 0xaa, 6: 0x70, 8: 0x80, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
}

// entry is one step on an undo or redo stack: what it stores, and the state that it leads to.
type entry struct {
	payload []byte
	to      [32]byte
}

// machine drives one graph by random commands, with everything that follows it: a client, a store, a second writer.
type machine struct {
	schema   graph.Schema
	g        *graph.Graph
	replica  *replica
	follower *graph.Graph
	store    map[graph.NodeID][]byte
	undo     []entry
	redo     []entry
	made     int
}

func newMachine(t *rapid.T) *machine {
	m := &machine{g: graph.New(), follower: graph.New(), store: map[graph.NodeID][]byte{}}
	if rapid.Bool().Draw(t, "schema") {
		m.schema = houseRules{}
	}
	nodes := seedNodes()
	if err := m.g.Load(slices.Values(nodes)); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		m.follower.Put(n.ID, n)
		m.store[n.ID] = graph.AppendImage(nil, n)
	}
	m.made = 100
	m.replica = newReplica(m.g)
	return m
}

// seedNodes are two houses with rooms whose sort keys leave no room at all between them, and a thing with orphans.
func seedNodes() []*graph.Node {
	tight := "a0" + strings.Repeat("V", graph.MaxOrderKey-3)
	return []*graph.Node{
		{ID: id(1), Type: house, Name: "east", Order: tight + "F"},
		{ID: id(2), Type: house, Name: "west", Order: tight + "G"},
		{ID: id(3), Type: room, Name: "hall", Parent: id(1), Order: tight + "1"},
		{ID: id(4), Type: room, Name: "attic", Parent: id(1), Order: tight + "2"},
		{ID: id(5), Type: room, Name: "cellar", Parent: id(1), Order: tight + "3", Properties: map[string]json.RawMessage{
			title: json.RawMessage(`"cellar"`), width: json.RawMessage(`12345678901234567890.50`),
		}},
		{ID: id(6), Type: thing, Name: "lamp", Parent: id(3), Order: "a1", Properties: map[string]json.RawMessage{
			graph.PropertyName: json.RawMessage(`"lamp"`),
		}, Metadata: map[string]json.RawMessage{
			graph.MetaOrphanedProperties: json.RawMessage(`{"height":7,"depth":[1,2]}`), "note": json.RawMessage(`"\u003c"`),
		}},
		{ID: id(7), Type: "gone", Name: "ghost", Parent: id(3), Order: "a2", Metadata: map[string]json.RawMessage{
			graph.MetaOrphaned: json.RawMessage(`true`),
		}},
	}
}

// seed returns the id of the next command.
func (m *machine) seed() graph.NodeID {
	m.made++
	return id(m.made)
}

func encode(t rapidT, v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

// Command executes one command.
func (m *machine) Command(t *rapid.T) {
	commandType, data := m.command(t)
	c, err := graph.ParseCommand(commandType, encode(t, data), m.seed())
	if err != nil {
		mustBeRejection(t, err)
		return
	}
	m.execute(t, c)
}

// Batch executes several at once; the last one speaks of the first by its ref.
func (m *machine) Batch(t *rapid.T) {
	items := []graph.Item{{Type: "CreateNode", Ref: "new", Data: encode(t, map[string]any{"blueprint_type_id": room})}}
	for range rapid.IntRange(0, 3).Draw(t, "more") {
		commandType, data := m.command(t)
		items = append(items, graph.Item{Type: commandType, Data: encode(t, data)})
	}
	items = append(items, graph.Item{Type: "LinkNode", Data: encode(t, map[string]any{
		"parent_id": m.someNode(t, "parent_id"), "child_id": "new", "index": 1,
	})})
	b, err := graph.ParseBatch(items, m.seed())
	if err != nil {
		mustBeRejection(t, err)
		return
	}
	m.execute(t, b)
}

func (m *machine) execute(t *rapid.T, c graph.Command) {
	before := graph.Hash(m.g)
	ch, err := c.Decide(m.g, m.schema)
	if graph.Hash(m.g) != before {
		t.Fatalf("deciding %+v altered the graph", c)
	}
	if err != nil {
		mustBeRejection(t, err)
		return
	}
	if again, _ := c.Decide(m.g, m.schema); !slices.Equal(graph.AppendChange(nil, again), graph.AppendChange(nil, ch)) {
		t.Fatalf("%+v decides differently the second time", c)
	}
	m.commit(t, ch)
	m.undo = append(m.undo, entry{payload: graph.AppendChange(nil, ch.Inverse()), to: before})
	m.redo = nil
}

// commit applies a change to the graph and lets the others follow, each in its own way.
func (m *machine) commit(t *rapid.T, ch graph.Change) {
	foreseen := slices.Clone(m.g.Events(ch))
	for node, after := range ch.Writes() {
		m.follower.Put(node, after)
		delete(m.store, node)
		if after != nil {
			m.store[node] = graph.AppendImage(nil, after)
		}
	}
	events := m.g.Apply(ch)
	if fmt.Sprint(texts(events)) != fmt.Sprint(texts(foreseen)) {
		t.Fatalf("foreseen %v, came %v", texts(foreseen), texts(events))
	}
	for _, e := range events {
		m.replica.apply(e.Name, e.AppendFields(nil))
	}
}

func texts(events []graph.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Name+" "+string(e.AppendFields(nil)))
	}
	return out
}

// step takes the top of one stack, and puts what takes it back on the other one.
func (m *machine) step(t *rapid.T, from, onto *[]entry) {
	if len(*from) == 0 {
		return
	}
	top := (*from)[len(*from)-1]
	*from = (*from)[:len(*from)-1]
	ch, err := graph.ParseChange(m.g, top.payload)
	if err != nil {
		t.Fatal(err)
	}
	back := entry{payload: graph.AppendChange(nil, ch.Inverse()), to: graph.Hash(m.g)}
	m.commit(t, ch)
	if graph.Hash(m.g) != top.to {
		t.Fatal("the step did not lead to the state that it should")
	}
	*onto = append(*onto, back)
}

// Undo takes the newest command back, Redo does what was taken back last.
func (m *machine) Undo(t *rapid.T) { m.step(t, &m.undo, &m.redo) }
func (m *machine) Redo(t *rapid.T) { m.step(t, &m.redo, &m.undo) }

// UndoAll goes back n steps and the same n forth again.
func (m *machine) UndoAll(t *rapid.T) {
	here, n := graph.Hash(m.g), len(m.undo)
	for range n {
		m.Undo(t)
	}
	for range n {
		m.Redo(t)
	}
	if graph.Hash(m.g) != here {
		t.Fatal("undoing and redoing everything led elsewhere")
	}
}

// Check holds after every step.
func (m *machine) Check(t *rapid.T) {
	if err := m.g.Check(); err != nil {
		t.Fatal(err)
	}
	m.replica.mustEqual(t, m.g)
	if graph.Hash(m.follower) != graph.Hash(m.g) || m.follower.Check() != nil {
		t.Fatal("the second writer has another graph")
	}
}

// reload compares the graph with the one that is in the store.
func (m *machine) reload(t *rapid.T) {
	var nodes []*graph.Node
	for _, node := range slices.SortedFunc(maps.Keys(m.store), func(a, b graph.NodeID) int { return slices.Compare(a[:], b[:]) }) {
		n, err := graph.ParseImage(node, m.store[node])
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	loaded := graph.New()
	if err := loaded.Load(slices.Values(nodes)); err != nil {
		t.Fatal(err)
	}
	if graph.Hash(loaded) != graph.Hash(m.g) || loaded.Len() != m.g.Len() {
		t.Fatal("the store has another graph")
	}
}

func mustBeRejection(t rapidT, err error) {
	t.Helper()
	var r *graph.Rejection
	if !errors.As(err, &r) || r.Reason == "" || r.Message == "" {
		t.Fatalf("refused with %#v, want a reason", err)
	}
}

func TestUndoRedoEventsAndStoreAgreeAfterAnyCommands(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"command": m.Command, "command again": m.Command, "and again": m.Command, "batch": m.Batch,
			"undo": m.Undo, "redo": m.Redo, "undo all": m.UndoAll, "": m.Check,
		})
		m.reload(t)
	})
}
