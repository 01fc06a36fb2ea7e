package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/talus-tally/talus/tests/load/follow"
)

// Session is a session that commands go to.
type Session struct {
	ID   string
	Root string // the root node

	property string // of the root, which changes go to

	head atomic.Uint64 // newest version that was answered
}

// Head is the newest version that a command of ours was answered with.
func (s *Session) Head() uint64 { return s.head.Load() }

// Saw notes the version in an answer's body.
func (s *Session) Saw(body []byte) {
	version, ok := versionIn(body)
	for old := s.head.Load(); ok && version > old; old = s.head.Load() {
		if s.head.CompareAndSwap(old, version) {
			return
		}
	}
}

func versionIn(body []byte) (version uint64, ok bool) {
	const key = `"version":`
	i := bytes.Index(body, []byte(key))
	if i < 0 {
		return 0, false
	}
	for _, digit := range body[i+len(key):] {
		if digit < '0' || digit > '9' {
			break
		}
		version, ok = version*10+uint64(digit-'0'), true
	}
	return version, ok
}

// property is a text property of the root of the template that NewSession uses; it is not the node's name, so that a
// change of it has the size of an ordinary change.
const (
	template = "software-project"
	property = "repository"
)

// NewSession creates a project, and a session with it, at a base URL.
func NewSession(ctx context.Context, base, name string) (*Session, error) {
	var made struct {
		SessionID string `json:"session_id"`
		Graph     struct {
			Roots []struct {
				ID string `json:"id"`
			} `json:"roots"`
		} `json:"graph"`
	}
	body := fmt.Sprintf(`{"template_id":%q,"project_name":%q}`, template, name)
	if err := Post(ctx, base+"/api/v1/projects", body, &made); err != nil {
		return nil, err
	}
	if len(made.Graph.Roots) == 0 {
		return nil, fmt.Errorf("new project %s: no root", name)
	}
	s := &Session{ID: made.SessionID, Root: made.Graph.Roots[0].ID, property: property}
	s.head.Store(1)
	return s, nil
}

// Post sends one request outside of any measurement and decodes the answer.
func Post(ctx context.Context, url, body string, answer any) error {
	return PostBy(ctx, http.DefaultClient, url, body, answer)
}

// PostBy is Post by a client of the caller's.
func PostBy(ctx context.Context, client *http.Client, url, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("%s: status %d: %.300s", url, resp.StatusCode, text)
	}
	return json.Unmarshal(text, answer)
}

// request appends an HTTP request with a body that is already there, minimal answer wanted.
func request(dst []byte, host, path string, body []byte) []byte {
	dst = append(append(append(dst, "POST /api/v1"...), path...), " HTTP/1.1\r\nHost: "...)
	dst = append(append(dst, host...), "\r\nContent-Type: application/json\r\nPrefer: return=minimal\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	return append(append(dst, "\r\n\r\n"...), body...)
}

// AppendChange appends the request that sets one property of the root to the moment the command is due. Its commit has
// three events and, as a native frame, about 750 bytes.
func (s *Session) AppendChange(dst []byte, host string, due int64) []byte {
	var buf [512]byte
	body := append(append(buf[:0], `{"session_id":"`...), s.ID...)
	body = append(append(body, `","command_type":"UpdateProperty","data":{"node_id":"`...), s.Root...)
	body = append(append(append(body, `","property_id":"`...), s.property...), `",`...)
	body = strconv.AppendInt(append(body, follow.Marker...), due, 10)
	return request(dst, host, "/commands/execute", append(body, `"}}`...))
}
