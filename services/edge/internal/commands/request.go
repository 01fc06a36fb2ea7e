package commands

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrRequest is the error of [Parse]; its text is for clients.
var ErrRequest = errors.New("a command is an object with session_id, command_type and data; command_id, actor, if_match and return are texts")

// Request is one command as REST takes it.
type Request struct {
	body    []byte
	actor   string // X-Actor
	ifMatch string // If-Match
	prefer  string // what the answer shall have in it: minimal, representation, or everything
}

// Parse reads a client's object: the members of the body of POST /commands/execute and, where REST has headers, "actor",
// "if_match" and "return", which is minimal unless it says "representation" (with events and graph) or "graph". Other
// members are left out, so that a repeat under another message id is the same request. Nothing of text is kept.
func Parse(text []byte) (Request, error) {
	var in struct {
		Session json.RawMessage `json:"session_id"`
		Kind    json.RawMessage `json:"command_type"`
		Data    json.RawMessage `json:"data"`
		Command json.RawMessage `json:"command_id"`
		Actor   string          `json:"actor"`
		IfMatch string          `json:"if_match"`
		Return  string          `json:"return"`
	}
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) || json.Unmarshal(text, &in) != nil {
		return Request{}, ErrRequest
	}
	r := Request{actor: in.Actor, ifMatch: in.IfMatch}
	switch in.Return {
	case "", "minimal":
		r.prefer = "return=minimal"
	case "representation":
		r.prefer = "return=representation"
	case "graph":
	default:
		return Request{}, ErrRequest
	}
	r.body = append(make([]byte, 0, len(text)), '{')
	for _, member := range []struct {
		name  string
		value json.RawMessage
	}{{"session_id", in.Session}, {"command_type", in.Kind}, {"command_id", in.Command}, {"data", in.Data}} {
		if member.value == nil {
			continue
		}
		if len(r.body) > 1 {
			r.body = append(r.body, ',')
		}
		r.body = append(append(append(append(r.body, '"'), member.name...), `":`...), member.value...)
	}
	r.body = append(r.body, '}')
	return r, nil
}
