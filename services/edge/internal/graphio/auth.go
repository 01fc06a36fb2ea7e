package graphio

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/google/uuid"
)

// errNoSession is what a client of the planned dialect is told that does not say where it wants to be.
var errNoSession = errors.New("session_id required")

// auth is what a peer says when it connects.
type auth struct {
	session uuid.UUID // uuid.Nil: it joins by events, the shipped dialect
	named   string    // what it called the session
	recover bool      // it wants offsets
	pid     string    // of the connection that it had
	offset  string    // of the last event it received there
}

// parseAuth reads the object of a CONNECT. Without one, or with nothing in it that is not about recovery, the peer joins by
// events; otherwise it must name a session.
func parseAuth(text []byte) (auth, error) {
	var in map[string]json.RawMessage
	if len(text) > 0 && json.Unmarshal(text, &in) != nil {
		return auth{}, errNoSession
	}
	var a auth
	a.recover = bytes.Equal(in["recover"], []byte("true"))
	a.pid, a.offset = textOf(in["pid"]), textOf(in["offset"])
	for _, name := range []string{"recover", "pid", "offset"} {
		delete(in, name)
	}
	if len(in) == 0 {
		return a, nil
	}
	if a.named = textOf(in["session_id"]); a.named == "" {
		return auth{}, errNoSession
	}
	a.session, _ = parseSession(a.named)
	return a, nil
}

// textOf is the text in a JSON string; empty for anything else.
func textOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// parseSession reads a session id in the usual form of 36 characters.
func parseSession(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, false
	}
	return id, true
}
