package native

import (
	"bytes"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// maxID is how long the id of a request may be, in bytes of JSON.
const maxID = 256

// request is a client's message.
type request struct {
	kind     string
	id       []byte // JSON text, a string or a number; nil: none
	session  string
	after    hub.After
	hopeless bool // not a JSON object
}

// parseRequest reads a message. The id is a copy; with an error only it and
// hopeless count.
func parseRequest(payload []byte) (request, *problem) {
	var in map[string]json.RawMessage // a struct would take members whose names differ in case
	if json.Unmarshal(payload, &in) != nil || in == nil {
		return request{hopeless: true}, &problem{wire.InvalidRequest, "the message is not a JSON object"}
	}
	var req request
	var ok bool
	if req.id, ok = parseID(in["id"]); !ok {
		return req, &problem{wire.InvalidRequest, "id must be a short text or a number"}
	}
	var after, epoch string
	for _, field := range []struct {
		name   string
		value  *string
		number bool
	}{
		{"type", &req.kind, false},
		{"session_id", &req.session, false},
		{"after", &after, true},
		{"epoch", &epoch, false},
	} {
		if !parseText(in[field.name], field.value, field.number) {
			return req, &problem{wire.InvalidRequest, field.name + " has the wrong type"}
		}
	}
	if isNull(in["after"]) {
		return req, nil
	}
	var p *problem
	req.after, p = parseAfter(after, epoch)
	return req, p
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// parseID accepts a string or a number and keeps its text as it is.
func parseID(raw json.RawMessage) ([]byte, bool) {
	if isNull(raw) {
		return nil, true
	}
	number := raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
	if len(raw) > maxID || raw[0] != '"' && !number {
		return nil, false
	}
	return bytes.Clone(raw), true
}

// parseText reads a string into value, and a number if that is allowed.
func parseText(raw json.RawMessage, value *string, number bool) bool {
	if isNull(raw) {
		return true
	}
	if number && raw[0] != '"' {
		*value = string(raw)
		return raw[0] >= '0' && raw[0] <= '9'
	}
	return json.Unmarshal(raw, value) == nil
}

// parseSession reads a session id in the usual form of 36 characters.
func parseSession(text string) (uuid.UUID, *problem) {
	if text == "" {
		return uuid.Nil, &problem{wire.InvalidRequest, "session_id is required"}
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		p := noSession("not an id")
		return uuid.Nil, &p
	}
	return id, nil
}

// parseAfter reads where the client stands.
func parseAfter(text, epoch string) (hub.After, *problem) {
	after, err := hub.ParseAfter(text, epoch)
	if err != nil {
		return after, &problem{wire.InvalidRequest, err.Error()}
	}
	return after, nil
}
