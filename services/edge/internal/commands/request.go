package commands

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// ErrRequest is the error of [Parse]; its text is for clients.
var ErrRequest = errors.New("a command is an object with session_id, command_type and data; command_id, actor, if_match and return are texts, without control characters")

// maxHeader is how long, in bytes, a text may be that REST has in a header. No valid one is as long.
const maxHeader = 2 << 10

// Request is one command as REST takes it.
type Request struct {
	body    []byte
	actor   string // X-Actor
	ifMatch string // If-Match
	prefer  string // what the answer shall have in it: minimal, representation, or everything
}

// size is about how much memory the request takes, in bytes.
func (r *Request) size() int { return cap(r.body) + len(r.actor) + len(r.ifMatch) }

// Parse reads a client's object: the members of the body of POST /commands/execute and, where REST has headers, "actor",
// "if_match" and "return", which is minimal unless it says "representation" (with events and graph) or "graph". Other
// members are left out, those with capitals too, so that a repeat under another message id is the same request. Nothing of
// text is kept.
func Parse(text []byte) (Request, error) {
	var in map[string]json.RawMessage // a struct would take members whose names differ in case
	if json.Unmarshal(text, &in) != nil || in == nil {
		return Request{}, ErrRequest
	}
	var r Request
	var wanted string
	if !read(in["actor"], &r.actor) || !read(in["if_match"], &r.ifMatch) || !read(in["return"], &wanted) {
		return Request{}, ErrRequest
	}
	switch wanted {
	case "", "minimal":
		r.prefer = "return=minimal"
	case "representation":
		r.prefer = "return=representation"
	case "graph":
	default:
		return Request{}, ErrRequest
	}
	r.body = append(make([]byte, 0, len(text)), '{')
	for _, name := range []string{"session_id", "command_type", "command_id", "data"} {
		if in[name] == nil {
			continue
		}
		if len(r.body) > 1 {
			r.body = append(r.body, ',')
		}
		r.body = append(append(append(append(r.body, '"'), name...), `":`...), in[name]...)
	}
	r.body = append(r.body, '}')
	return r, nil
}

// read reads a text that is to be a header, if there is one. It returns false for what no header can have (RFC 9110,
// section 5.5): the request would fail on its way, as if nobody had listened.
func read(raw json.RawMessage, text *string) bool {
	if raw == nil {
		return true
	}
	if json.Unmarshal(raw, text) != nil || len(*text) > maxHeader || !utf8.ValidString(*text) {
		return false
	}
	for i := range len(*text) {
		if c := (*text)[i]; c < ' ' || c == 0x7F {
			return false
		}
	}
	return true
}
