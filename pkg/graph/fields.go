package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Whether a command can do without a field. Of a field that is null, the same holds as of one that is absent.
const (
	required = true
	optional = false
)

// fields reads the data of one command. The first thing that is wrong stays in err.
type fields struct {
	members []member
	refs    map[string]NodeID
	err     error
	few     [6]member // where members begins
}

// newFields opens data; refs are the nodes that earlier commands of the batch create, by name.
func newFields(data json.RawMessage, refs map[string]NodeID) *fields {
	f := &fields{refs: refs}
	members, object := appendMembers(f.few[:0], data)
	f.members = members
	switch {
	case !utf8.Valid(data):
		f.fail(InvalidCommand, "data", "is not valid UTF-8")
	case depth(data) > MaxDepth:
		f.fail(InvalidCommand, "data", fmt.Sprintf("nests deeper than %d levels", MaxDepth))
	case !object:
		f.fail(InvalidCommand, "data", "is not a JSON object")
	}
	return f
}

// fail keeps the first refusal: the field and what is wrong with it.
func (f *fields) fail(reason Reason, field, problem string) {
	if f.err == nil {
		f.err = &Rejection{Reason: reason, Message: field + " " + problem, Details: map[string]string{"field": field}}
	}
}

// raw returns a field as it was sent, nil when it is absent. Of duplicates the last counts.
func (f *fields) raw(field string) json.RawMessage {
	for i := len(f.members) - 1; i >= 0; i-- {
		if f.members[i].name == field {
			return f.members[i].value
		}
	}
	return nil
}

// member returns a field, nil when it is absent or null.
func (f *fields) member(field string, must bool, reason Reason) json.RawMessage {
	v := f.raw(field)
	if !isNull(v) {
		return v
	}
	if must {
		f.fail(reason, field, "is missing")
	}
	return nil
}

// text reads a text that is not empty from a field, or from the field other when the first is absent.
func (f *fields) text(field, other string, must bool) string {
	if isNull(f.raw(field)) && other != "" && !isNull(f.raw(other)) {
		field = other
	}
	v := f.member(field, must, InvalidCommand)
	if v == nil {
		return ""
	}
	if v[0] != '"' {
		f.fail(InvalidCommand, field, "is not a text")
		return ""
	}
	s := unquoted(v)
	if must && s == "" {
		f.fail(InvalidCommand, field, "is empty")
	}
	if err := checkText(field, s); err != nil && f.err == nil {
		f.err = err
	}
	return s
}

// id reads the id of a node, or in a batch the ref of one.
func (f *fields) id(field string, must bool) NodeID {
	s := f.text(field, "", must)
	if s == "" {
		return NodeID{}
	}
	if id, ok := f.refs[s]; ok {
		return id
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 || id == (NodeID{}) {
		problem := "is not a UUID"
		if f.refs != nil {
			problem += ", nor the ref of an earlier command"
		}
		f.fail(InvalidCommand, field, problem)
		return NodeID{}
	}
	return id
}

// index reads a place; End when it is absent.
func (f *fields) index(field string, must bool, reason Reason) int {
	v := string(f.member(field, must, reason))
	if v == "" {
		return End
	}
	n, err := strconv.Atoi(v)
	if err != nil && strings.Trim(v, "0123456789") == "" {
		n, err = math.MaxInt, nil // behind any end
	}
	if err != nil || n < 0 {
		f.fail(reason, field, "is not an integer of 0 or more")
		return End
	}
	return n
}

// value reads any JSON and compacts it; nil when it is absent or null.
func (f *fields) value(field string) json.RawMessage {
	return f.compact(field, f.raw(field))
}

// values reads an object of any JSON values. Null members stay: they are meant.
func (f *fields) values(field string) map[string]json.RawMessage {
	v := f.member(field, optional, InvalidCommand)
	if v == nil {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(v, &members) != nil {
		f.fail(InvalidCommand, field, "is not an object")
		return nil
	}
	for _, key := range sortedKeys(members) {
		if err := checkText("the name of a property", key); err != nil && f.err == nil {
			f.err = err
		}
		if key == "" {
			f.fail(InvalidCommand, field, "has a member without a name")
		}
		members[key] = f.compact(field+"."+key, members[key])
	}
	return members
}

// compact removes the spaces around the tokens of v and leaves everything else as it is, digits of numbers included.
func (f *fields) compact(field string, v json.RawMessage) json.RawMessage {
	if isNull(v) || f.err != nil {
		return nil
	}
	out := bytes.Clone(v)
	if v[0] == '{' || v[0] == '[' { // only between the parts of a value can there be spaces
		b := bytes.NewBuffer(out[:0])
		if err := json.Compact(b, v); err != nil {
			f.fail(InvalidCommand, field, "is not JSON")
		}
		out = b.Bytes()
	}
	if len(out) > MaxValue {
		f.err = &Rejection{
			Reason:  TooLarge,
			Message: fmt.Sprintf("%s is larger than %d bytes", field, MaxValue),
			Details: map[string]string{"field": field},
		}
	}
	return out
}

// depth returns how deep objects and arrays nest in data, which need not be JSON.
func depth(data []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++
			}
		case c == '{', c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}', c == ']':
			now--
		}
	}
	return deepest
}
