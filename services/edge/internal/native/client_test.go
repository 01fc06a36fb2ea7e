package native_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/native"
)

// client is a native client.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

// message is any frame of the server.
type message struct {
	Type      string          `json:"type"`
	ID        json.RawMessage `json:"id"`
	Session   uuid.UUID       `json:"session_id"`
	Client    uuid.UUID       `json:"client_id"`
	Epoch     string          `json:"epoch"`
	Version   uint64          `json:"version"`
	Position  string          `json:"position"`
	Prev      string          `json:"prev"`
	Count     int             `json:"client_count"`
	Resumed   bool            `json:"resumed"`
	Reason    string          `json:"reason"`
	Code      string          `json:"code"`
	Message   string          `json:"message"`
	Retryable *bool           `json:"retryable"`
	Event     string          `json:"event"`
	Events    []struct {
		Event string         `json:"event"`
		Data  map[string]any `json:"data"`
	} `json:"events"`
}

func (e *edge) dials(query url.Values) *client {
	e.t.Helper()
	target := e.url
	if query != nil {
		target += "?" + query.Encode()
	}
	conn, _, err := websocket.Dial(e.t.Context(), target, &websocket.DialOptions{Subprotocols: []string{native.Subprotocol}})
	if err != nil {
		e.t.Fatal(err)
	}
	if conn.Subprotocol() != native.Subprotocol {
		e.t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	e.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: e.t, conn: conn}
}

func (c *client) says(format string, args ...any) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

// hears reads the next frame that does not say who is there and checks its type.
func (c *client) hears(kind string) message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	var text []byte
	for text == nil || bytes.Contains(text, []byte(`"event":"session:`)) {
		var err error
		if _, text, err = c.conn.Read(ctx); err != nil {
			c.t.Fatalf("waiting for %s: %v", kind, err)
		}
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	if m.Type != kind {
		c.t.Fatalf("heard %s, want %s", text, kind)
	}
	return m
}

// hearsCommits reads the commits of versions from … to of a session.
func (c *client) hearsCommits(s *session, from, to uint64) {
	c.t.Helper()
	for v := from; v <= to; v++ {
		m := c.hears("commit")
		if m.Version != v || m.Session != s.id {
			c.t.Fatalf("commit %d of %s, want %d of %s", m.Version, m.Session, v, s.id)
		}
	}
}

// refused reads an error frame.
func (c *client) refused(code wire.Code, id string) message {
	c.t.Helper()
	m := c.hears("error")
	if m.Code != string(code) || string(m.ID) != id || m.Message == "" || m.Retryable == nil || *m.Retryable != code.Retryable() {
		c.t.Errorf("error %+v, want code %s for request %s", m, code, id)
	}
	return m
}

// isSentAway waits for the end of the connection.
func (c *client) isSentAway(code websocket.StatusCode) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	var text []byte
	var err error
	for err == nil && (text == nil || bytes.Contains(text, []byte(`"event":"session:`))) {
		_, text, err = c.conn.Read(ctx)
	}
	if got := websocket.CloseStatus(err); got != code {
		c.t.Errorf("closed with %d (%v, %s), want %d", got, err, text, code)
	}
}

func (c *client) joins(s *session, id string) message {
	c.t.Helper()
	c.says(`{"type":"join","id":"%s","session_id":"%s"}`, id, s.id)
	m := c.hears("joined")
	if string(m.ID) != `"`+id+`"` {
		c.t.Errorf("answer to %s", m.ID)
	}
	return m
}
