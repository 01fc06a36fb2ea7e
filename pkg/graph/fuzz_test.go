package graph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/talus-tally/talus/pkg/graph"
)

// FuzzParseCommand looks for a request that makes a command panic, break the graph, or tell events that are not JSON.
func FuzzParseCommand(f *testing.F) {
	for _, verb := range goldenVerbs() {
		f.Add(verb.commandType, []byte(verb.data), true)
	}
	f.Add("CreateNode", []byte(`{"blueprint_type_id":"x","name":"\ud800","properties":{"a":1e999,"b":{"c":[]}},"index":99999999999999999999}`), false)
	f.Fuzz(func(t *testing.T, commandType string, data []byte, ruled bool) {
		c, err := graph.ParseCommand(commandType, data, kitSeed())
		if err != nil {
			mustBeRejection(t, err)
			return
		}
		g := home(t)
		before := graph.Hash(g)
		var schema graph.Schema
		if ruled {
			schema = houseRules{}
		}
		ch, err := c.Decide(g, schema)
		if err != nil {
			mustBeRejection(t, err)
			return
		}
		wantWhole(t, g, ch)
		g.Apply(ch.Inverse())
		if graph.Hash(g) != before {
			t.Error("the inverse did not lead back")
		}
	})
}

// wantWhole applies ch and looks at the graph, the images and the events.
func wantWhole(t *testing.T, g *graph.Graph, ch graph.Change) {
	t.Helper()
	for _, e := range g.Apply(ch) {
		if own := e.AppendFields(nil); !json.Valid([]byte("{" + string(own) + "}")) {
			t.Errorf("%s tells %s", e.Name, own)
		}
	}
	if err := g.Check(); err != nil {
		t.Error(err)
	}
	for node, after := range ch.Writes() {
		if after == nil {
			continue
		}
		if _, err := graph.ParseImage(node, graph.AppendImage(nil, after)); err != nil {
			t.Error(err)
		}
	}
}

// FuzzParseImage looks for bytes that make ParseImage panic, or that are read as a node with another image.
func FuzzParseImage(f *testing.F) {
	f.Add(graph.AppendImage(nil, sample()))
	f.Add(graph.AppendImage(nil, &graph.Node{Order: "a0"}))
	f.Fuzz(func(t *testing.T, image []byte) {
		n, err := graph.ParseImage(id(2), image)
		if err != nil {
			if !errors.Is(err, graph.ErrBroken) {
				t.Errorf("got %v", err)
			}
			return
		}
		if again := graph.AppendImage(nil, n); !bytes.Equal(again, image) {
			t.Errorf("%x was read as %x", image, again)
		}
	})
}

// FuzzParseChange looks for bytes that make ParseChange panic, or that are read as a change which breaks the graph or
// cannot be taken back.
func FuzzParseChange(f *testing.F) {
	for _, verb := range goldenVerbs() {
		c, err := graph.ParseCommand(verb.commandType, json.RawMessage(verb.data), kitSeed())
		if err != nil {
			f.Fatal(err)
		}
		ch, err := c.Decide(home(f), houseRules{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(graph.AppendChange(nil, ch))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		g := home(t)
		before := graph.Hash(g)
		ch, err := graph.ParseChange(g, stored)
		if err != nil {
			if !errors.Is(err, graph.ErrBroken) {
				t.Errorf("got %v", err)
			}
			return
		}
		wantWhole(t, g, ch)
		back, err := graph.ParseChange(g, graph.AppendChange(nil, ch.Inverse()))
		if err != nil {
			t.Fatal(err)
		}
		g.Apply(back)
		if graph.Hash(g) != before {
			t.Error("the inverse did not lead back")
		}
	})
}
