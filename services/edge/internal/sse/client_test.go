package sse_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// listener is a client of a stream.
type listener struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	res  *http.Response
}

// event is one event as a browser would dispatch it, with the retry time and comments that stood before it.
type event struct {
	id, name, data, retry string
	comments              int
}

// message is the data of any event.
type message struct {
	Type       string    `json:"type"`
	Session    uuid.UUID `json:"session_id"`
	Version    uint64    `json:"version"`
	Position   string    `json:"position"`
	Count      int       `json:"client_count"`
	Resumed    bool      `json:"resumed"`
	Reason     string    `json:"reason"`
	Code       string    `json:"code"`
	CloseCode  int       `json:"close_code"`
	Retryable  bool      `json:"retryable"`
	RetryAfter int       `json:"retry_after_ms"`
	Message    string    `json:"message"`
}

// dial sends a request of its own making.
func (e *edge) dial(request string) *listener {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte(request)); err != nil {
		e.t.Fatal(err)
	}
	return &listener{t: e.t, conn: conn, in: bufio.NewReader(conn)}
}

// asks requests a stream and reads the head of the answer. Fields are header lines.
func (e *edge) asks(query string, fields ...string) *listener {
	e.t.Helper()
	l := e.dial("GET /sse?" + query + " HTTP/1.1\r\nHost: t\r\n" + strings.Join(append(fields, "\r\n"), "\r\n"))
	res, err := http.ReadResponse(l.in, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	l.res = res
	return l
}

// listens asks for a session and expects a stream.
func (e *edge) listens(s *session, query string, fields ...string) *listener {
	e.t.Helper()
	l := e.asks("session_id="+s.id.String()+query, fields...)
	if l.res.StatusCode != http.StatusOK {
		e.t.Fatalf("answered %d", l.res.StatusCode)
	}
	return l
}

// next reads one event that does not say who is there; an error is the end of the stream.
func (l *listener) next() (event, error) {
	comments := 0
	for {
		ev, err := l.any()
		ev.comments += comments
		if err != nil || !strings.Contains(ev.data, `"event":"session:`) {
			return ev, err
		}
		comments = ev.comments
	}
}

// any reads one event as the standard's parser does.
func (l *listener) any() (event, error) {
	var ev event
	var data []string
	for {
		line, err := l.in.ReadString('\n')
		if err != nil {
			return ev, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n" && len(data) > 0:
			ev.data = strings.Join(data, "\n")
			return ev, nil
		case line == "\n":
		case name == "":
			ev.comments++
		case name == "id":
			ev.id = value
		case name == "event":
			ev.name = value
		case name == "retry":
			ev.retry = value
		case name == "data":
			data = append(data, value)
		default:
			return ev, fmt.Errorf("a strange line %q", line)
		}
	}
}

// hears reads the next event and checks its name, and that commits and joined, and they alone, carry their position.
func (l *listener) hears(name string) (event, message) {
	l.t.Helper()
	ev, err := l.next()
	if err != nil {
		l.t.Fatalf("waiting for %s: %v", name, err)
	}
	var m message
	if err := json.Unmarshal([]byte(ev.data), &m); err != nil {
		l.t.Fatalf("%s: %v", ev.data, err)
	}
	if ev.name != name || m.Type != name {
		l.t.Fatalf("heard %+v, want %s", ev, name)
	}
	id := ""
	if name == "commit" || name == "joined" {
		id = m.Position
	}
	if ev.id != id {
		l.t.Fatalf("id %q of %s", ev.id, ev.data)
	}
	return ev, m
}

// hearsCommits reads the commits of versions from … to and returns their data.
func (l *listener) hearsCommits(from, to uint64) []string {
	l.t.Helper()
	var texts []string
	for v := from; v <= to; v++ {
		ev, m := l.hears("commit")
		if m.Version != v {
			l.t.Fatalf("commit %d, want %d", m.Version, v)
		}
		texts = append(texts, ev.data)
	}
	return texts
}

// ends expects the end of the response.
func (l *listener) ends() {
	l.t.Helper()
	if ev, err := l.next(); err == nil || err.Error() != "EOF" {
		l.t.Fatalf("got %+v, %v; want the end", ev, err)
	}
}
