package compose_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// call sends a JSON request through the proxy. It returns the status, 0 when there was no answer, and the body.
func (s *stack) call(method, path string, body any) (int, []byte) {
	s.t.Helper()
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		payload = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1:"+s.port+path, payload)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, answer
}

// gets sends a JSON request, wants a status and decodes the answer into out.
func (s *stack) gets(status int, method, path string, body, out any) {
	s.t.Helper()
	code, answer := s.call(method, path, body)
	if code != status {
		s.t.Fatalf("%s %s: %d, want %d: %s", method, path, code, status, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// frame is what the test looks at in a native frame.
type frame struct {
	Type    string `json:"type"`
	Version uint64 `json:"version"`
}

// listener is a WebSocket client that keeps the commits of one session.
type listener struct {
	edge    string // address of the edge that the proxy chose
	joined  frame
	commits chan []byte
}

// listen joins a session through the proxy.
func (s *stack) listen(session string) *listener {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 15*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%s/ws?session_id=%s", s.port, session), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadLimit(8 << 20)
	l := &listener{edge: resp.Header.Get("X-Served-By"), commits: make(chan []byte, 100)}
	_, first, err := conn.Read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(first, &l.joined); err != nil || l.joined.Type != "joined" {
		s.t.Fatalf("the first frame is not joined: %v %s", err, first)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.read(conn)
	}()
	s.t.Cleanup(func() {
		_ = conn.CloseNow()
		<-done
	})
	return l
}

// read keeps commits until the connection ends. More commits than the test makes would be a fault, so none is lost.
func (l *listener) read(conn *websocket.Conn) {
	defer close(l.commits)
	for {
		_, raw, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		var f frame
		if json.Unmarshal(raw, &f) == nil && f.Type == "commit" {
			l.commits <- raw
		}
	}
}

// next returns the next commit.
func (s *stack) next(l *listener) (frame, []byte) {
	s.t.Helper()
	select {
	case raw, open := <-l.commits:
		if !open {
			s.t.Fatalf("the connection to %s has ended", l.edge)
		}
		var f frame
		if err := json.Unmarshal(raw, &f); err != nil {
			s.t.Fatal(err)
		}
		return f, raw
	case <-time.After(patience):
		s.t.Fatalf("no commit from %s within %v", l.edge, patience)
	}
	return frame{}, nil
}
