package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// request is one attempt of an operation, or a read.
type request struct {
	session   *session
	client    string // of a read by a client
	f         history.Func
	op        string
	attempt   int
	key       string // Idempotency-Key; with keyed and without it the body's command_id is the key
	keyed     bool
	path      string
	body      []byte
	target    string
	ifMatch   string
	expectTop uint64
	node      string // the instance; empty for a read: any
}

// answer is what came of it.
type answer struct {
	kind     history.Kind
	status   int
	code     string
	body     []byte
	position wire.Position
	fields   answerFields
	hash     string
}

type answerFields struct {
	CommandID     string          `json:"command_id"`
	NodeID        string          `json:"node_id"`
	Position      string          `json:"position"`
	UndoAvailable *bool           `json:"undo_available"`
	RedoAvailable *bool           `json:"redo_available"`
	Undone        json.RawMessage `json:"undone"`
	Redone        json.RawMessage `json:"redone"`
	ActiveClients int             `json:"active_clients"`
	Undo          []history.Step  `json:"undo"`
	Redo          []history.Step  `json:"redo"`
	HistoryCount  int             `json:"history_count"`
	Graph         json.RawMessage `json:"graph"`
	Error         struct {
		Code string `json:"code"`
	} `json:"error"`
}

// nextOp names an operation.
func (w *workload) nextOp(who string) string { return fmt.Sprintf("%s-%d", who, w.ops.Add(1)) }

// send sends one attempt of an operation and records it before and after.
func (w *workload) send(ctx context.Context, q *request) answer {
	l := history.Line{
		Kind: history.Invoke, F: q.f, Session: q.session.id, Node: q.node, Client: q.client, Op: q.op, Attempt: q.attempt, Key: q.key,
		Keyed: q.keyed, Body: history.Fingerprint([]byte(q.path), q.body), IfMatch: q.ifMatch, ExpectTop: q.expectTop, Target: q.target,
		Actor: q.session.canary + "." + q.op,
	}
	l.T = w.Recorder.Now()
	w.Recorder.Record(l)
	header := http.Header{"X-Actor": {l.Actor}, "Prefer": {"return=minimal"}}
	if q.key != "" {
		header.Set("Idempotency-Key", q.key)
	}
	if q.ifMatch != "" {
		header.Set("If-Match", `"`+q.ifMatch+`"`)
	}
	l.Began, l.T = l.T, 0
	status, answered, body, err := w.exchange(ctx, q.node, http.MethodPost, q.path, q.body, header)
	a := w.understand(status, answered, body, err)
	l.Kind, l.Status, l.Code, l.Canary = a.kind, a.status, a.code, history.Canaries(body)
	l.Position, l.Replayed = a.fields.Position, answered.Get("Idempotency-Replayed") == "true"
	if err != nil {
		l.Error = err.Error()
	}
	if a.kind == history.OK {
		l.Command, l.Reply = a.fields.CommandID, replyOf(body)
		l.UndoAvailable, l.RedoAvailable = a.fields.UndoAvailable, a.fields.RedoAvailable
		l.Undone, l.Idle = stepOf(q.f, a.fields)
		w.acked.Add(1)
	}
	w.Recorder.Record(l)
	return a
}

// stepOf is what an undo or redo acted on; idle means that there was nothing.
func stepOf(f history.Func, fields answerFields) (on *history.Step, idle bool) {
	raw := fields.Undone
	if f == history.Redo {
		raw = fields.Redone
	}
	if f != history.Undo && f != history.Redo {
		return nil, false
	}
	if json.Unmarshal(raw, &on) != nil || on == nil {
		return nil, true
	}
	return on, false
}

// replyOf names what every repeat must be told: the answer without what shows the present.
func replyOf(body []byte) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return ""
	}
	for _, present := range []string{"graph", "graph_version", "events", "is_dirty", "orphan_info"} {
		delete(members, present)
	}
	return history.Fingerprint(mustJSON(members))
}

// understand reads an answer. A problem names where the session is in the entity tag.
func (w *workload) understand(status int, header http.Header, body []byte, err error) answer {
	a := answer{status: status, body: body}
	broken := err != nil || json.Unmarshal(body, &a.fields) != nil
	switch {
	case broken || status >= 500 || status < 200:
		a.kind = history.Info
	case status >= 400:
		a.kind = history.Fail
	default:
		a.kind = history.OK
	}
	a.code = a.fields.Error.Code
	if a.fields.Position == "" {
		a.fields.Position = strings.Trim(header.Get("ETag"), `W/"`)
	}
	a.position, _ = wire.ParsePosition(a.fields.Position) // a refusal may come without one
	return a
}

// read sends a GET and records its answer; what it means is for the caller to add.
func (w *workload) read(ctx context.Context, q *request, note func(*history.Line, *answer)) answer {
	l := history.Line{Began: w.Recorder.Now(), F: q.f, Session: q.session.id, Node: q.node, Client: q.client}
	status, header, body, err := w.exchange(ctx, q.node, http.MethodGet, q.path, nil, nil)
	l.T = w.Recorder.Now()
	a := w.understand(status, header, body, err)
	l.Kind, l.Status, l.Code, l.Position, l.Canary = a.kind, a.status, a.code, a.fields.Position, history.Canaries(body)
	if a.kind == history.OK && note != nil {
		note(&l, &a)
	}
	w.Recorder.Record(l)
	return a
}

// exchange sends one request to an instance's API and reads its whole answer.
func (w *workload) exchange(ctx context.Context, node, method, path string, body []byte, header http.Header) (int, http.Header, []byte, error) {
	return w.fetch(ctx, method, strings.TrimSuffix(node, "/")+"/api/v1"+path, body, header)
}

func (w *workload) fetch(ctx context.Context, method, url string, body []byte, header http.Header) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, text, err
}
