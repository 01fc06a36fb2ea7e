package graph_test

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/talus-tally/talus/pkg/graph"
)

// houseRules is a small template: a house holds rooms, a room holds rooms and things; nothing else is known. A room
// has a name property, a status to choose and a width.
type houseRules struct{}

const (
	house  = "10000000-0000-0000-0000-000000000001"
	room   = "10000000-0000-0000-0000-000000000002"
	thing  = "10000000-0000-0000-0000-000000000003"
	title  = "20000000-0000-0000-0000-000000000001"
	status = "20000000-0000-0000-0000-000000000002"
	width  = "20000000-0000-0000-0000-000000000003"
	done   = "30000000-0000-0000-0000-000000000001"
	open   = "30000000-0000-0000-0000-000000000002"
)

func (houseRules) Type(ref string) (graph.TypeRule, bool) {
	switch ref {
	case house, "house":
		return graph.TypeRule{ID: house}, true
	case room, "room":
		defaults := map[string]json.RawMessage{status: json.RawMessage(`"` + open + `"`)}
		return graph.TypeRule{ID: room, Defaults: defaults, NameProperty: title}, true
	case thing, "thing":
		return graph.TypeRule{ID: thing}, true
	}
	return graph.TypeRule{}, false
}

func (houseRules) Allows(parent, child string) bool {
	return parent == house && child == room || parent == room && child != house
}

func (houseRules) Property(typ, ref string) (string, bool) {
	if typ != room {
		return "", false
	}
	switch ref {
	case title, "title":
		return title, true
	case status, "status":
		return status, true
	case width, "width":
		return width, true
	}
	return "", false
}

func (houseRules) Value(_, property string, value json.RawMessage) (json.RawMessage, error) {
	var text string
	isText := json.Unmarshal(value, &text) == nil
	switch property {
	case status:
		for id, name := range map[string]string{done: "Done", open: "Open"} {
			if isText && (text == id || text == name) {
				return json.RawMessage(`"` + id + `"`), nil
			}
		}
		return nil, errors.New("status is one of Open, Done")
	case width:
		number := string(value)
		if isText {
			number = text
		}
		if _, err := strconv.ParseFloat(number, 64); err != nil {
			return nil, errors.New("width is a number")
		}
		return json.RawMessage(number), nil
	}
	if !isText {
		return nil, errors.New("title is a text")
	}
	return value, nil
}
