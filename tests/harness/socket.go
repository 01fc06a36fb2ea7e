package harness

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// Socket is a bare WebSocket for tests that speak the protocol themselves. Presence events are passed over.
type Socket struct {
	t    testing.TB
	conn *websocket.Conn
}

// Dial opens a socket on an edge; query is appended to the path.
func Dial(t testing.TB, edge *Instance, query string) *Socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	url := "ws" + strings.TrimPrefix(edge.URL, "http") + "/ws" + query
	conn, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // the library has done it
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &Socket{t: t, conn: conn}
}

// Send writes one text frame.
func (s *Socket) Send(text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

// Result is the answer to a command that was sent over a socket.
type Result struct {
	Status   int `json:"http_status"`
	Replayed bool
	Body     struct {
		Done
		Graph     json.RawMessage
		Retryable bool
		Error     struct{ Code string }
	}
}

// Want reads the next frame, presence left aside, and fails the test unless it has that type and id.
func (s *Socket) Want(kind, id string) Frame {
	s.t.Helper()
	f, _ := s.want(kind, id)
	return f
}

// Resolves reads the answer to the command with that id.
func (s *Socket) Resolves(id string) Result {
	s.t.Helper()
	_, raw := s.want("result", id)
	var r Result
	if err := json.Unmarshal(raw, &r); err != nil {
		s.t.Fatalf("%v: %s", err, raw)
	}
	return r
}

func (s *Socket) want(kind, id string) (Frame, []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		_, raw, err := s.conn.Read(ctx)
		if err != nil {
			s.t.Fatalf("waiting for %s %s: %v", kind, id, err)
		}
		var f Frame
		if err := json.Unmarshal(raw, &f); err != nil {
			s.t.Fatalf("%v: %s", err, raw)
		}
		if strings.HasPrefix(f.Event, "session:") {
			continue
		}
		if f.Type != kind || f.ID != id {
			s.t.Fatalf("got %s\nwant %s %s", raw, kind, id)
		}
		return f, raw
	}
}

// CloseCode reads until the server closes the socket and returns the code; -1 if it gave none.
func (s *Socket) CloseCode() int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		if _, _, err := s.conn.Read(ctx); err != nil {
			var ce websocket.CloseError
			if errors.As(err, &ce) {
				return int(ce.Code)
			}
			return -1
		}
	}
}
