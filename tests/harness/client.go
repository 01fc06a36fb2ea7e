package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/pkg/wire"
)

// Frame is a frame of the native protocol (api.md part 8), any type.
type Frame struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	SessionID   string `json:"session_id"`
	ClientID    string `json:"client_id"`
	Epoch       string `json:"epoch"`
	Version     uint64 `json:"version"`
	Position    string `json:"position"`
	Prev        string `json:"prev"`
	Resumed     bool   `json:"resumed"`
	Reason      string `json:"reason"`
	Status      string `json:"status"`
	Retryable   bool   `json:"retryable"`
	Code        string `json:"code"`
	Message     string `json:"message"`
	Event       string `json:"event"`
	CommandID   string `json:"command_id"`
	CommandType string `json:"command_type"`
	ProjectID   string `json:"project_id"`
	Timestamp   string `json:"timestamp"`
	Events      []struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	} `json:"events"`
	ClientCount int             `json:"client_count"`
	Data        json.RawMessage `json:"data"`
}

// Client is a native WebSocket client of one session. It checks the client rule on every commit and keeps a replica.
type Client struct {
	t       testing.TB
	name    string
	session string
	api     string // base URL of the command instance that graphs are read from
	conn    *websocket.Conn
	stop    context.CancelFunc
	done    chan struct{}

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every frame
	position wire.Position // of the last commit received
	replica  *Replica
	skip     uint64   // commits up to here are in the graph that was fetched
	raw      [][]byte // every commit frame, byte for byte
	commits  []Frame
	others   []Frame // everything that is not a commit
	closed   error

	announced []Announcement // in the order received
}

// Connect joins a session live, by URL, on an edge.
func Connect(t testing.TB, name string, edge *Instance, api *Instance, session string) *Client {
	t.Helper()
	c := &Client{t: t, name: name, session: session, api: api.URL, replica: NewReplica()}
	c.dial(edge, "")
	c.await("joined", func() bool { return c.position.Epoch != 0 || c.closed != nil })
	return c
}

// Resume is a new connection on an edge that goes on where this one, which is closed, stopped.
func (c *Client) Resume(edge *Instance) *Client {
	c.t.Helper()
	next := &Client{t: c.t, name: c.name, session: c.session, api: c.api, replica: c.replica, position: c.position,
		skip: c.skip, raw: c.raw, commits: c.commits}
	next.dial(edge, c.position.String())
	next.Gets("joined", func(f Frame) bool { return f.Type == "joined" })
	return next
}

func (c *Client) dial(edge *Instance, after string) {
	c.t.Helper()
	url := "ws" + strings.TrimPrefix(edge.URL, "http") + "/ws?session_id=" + c.session
	if after != "" {
		url += "&after=" + after
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // the library has done it
	if err != nil {
		c.t.Fatalf("%s: dial: %v", c.name, err)
	}
	conn.SetReadLimit(64 << 20)
	life, stop := context.WithCancel(context.Background())
	c.conn, c.stop = conn, stop
	c.done, c.changed = make(chan struct{}), make(chan struct{})
	go c.read(life)
	c.t.Cleanup(c.Close)
}

// Close ends the connection and waits for its reader.
func (c *Client) Close() {
	c.stop()
	<-c.done
}

func (c *Client) read(ctx context.Context) {
	defer close(c.done)
	defer func() { _ = c.conn.CloseNow() }() // the peer may be gone already
	for {
		_, raw, err := c.conn.Read(ctx)
		c.mu.Lock()
		if err != nil {
			c.closed = err
		} else if err := c.take(raw); err != nil {
			c.t.Errorf("%s: %v\nframe: %.400s", c.name, err, raw)
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// take handles one frame; c.mu is held.
func (c *Client) take(raw []byte) error {
	var f Frame
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	if f.SessionID != "" && f.SessionID != c.session {
		return fmt.Errorf("a frame of session %s reached a client of %s", f.SessionID, c.session)
	}
	switch f.Type {
	case "commit":
		return c.commit(raw, f)
	case "event":
		if err := c.attend(f); err != nil {
			return err
		}
	case "joined", "resync":
		p, err := wire.ParsePosition(f.Position)
		if err != nil {
			return err
		}
		// A resumed client already holds its position; the commits after it follow.
		if f.Type == "resync" || !f.Resumed {
			c.position = p
		}
		if f.Type == "resync" {
			c.commits = nil // what came before is no longer the way to here
		}
	}
	c.others = append(c.others, f)
	return nil
}

func (c *Client) commit(raw []byte, f Frame) error {
	p, err := wire.ParsePosition(f.Position)
	if err != nil {
		return err
	}
	last := c.position
	if p.Epoch != last.Epoch || p.Version != last.Version+1 || f.Prev != last.Digest.String() || f.Version != p.Version {
		return fmt.Errorf("commit %v (prev %s) after %v breaks the client rule", p, f.Prev, last)
	}
	c.position = p
	c.raw = append(c.raw, raw)
	c.commits = append(c.commits, f)
	if p.Version <= c.skip {
		return nil
	}
	for _, e := range f.Events {
		if err := c.replica.Apply(e.Event, e.Data); err != nil {
			return fmt.Errorf("version %d: %w", p.Version, err)
		}
	}
	return nil
}

// await waits until ok holds; ok runs with c.mu held.
func (c *Client) await(what string, ok func() bool) {
	c.t.Helper()
	deadline, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		c.mu.Lock()
		good, changed, at := ok(), c.changed, c.position
		c.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-deadline.Done():
			c.t.Fatalf("%s never saw: %s (is at %v)", c.name, what, at)
		}
	}
}

// Fetch reads the graph by REST, as a client does that joined without a position, and goes on from there.
func (c *Client) Fetch() {
	c.t.Helper()
	var g struct {
		Graph   json.RawMessage
		Version uint64
	}
	Must(c.t, http.StatusOK, http.MethodGet, c.api+"/api/v1/sessions/"+c.session+"/graph", nil).Decode(c.t, &g)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.commits) == 0 && g.Version < c.position.Version {
		c.t.Fatalf("%s: the graph is of version %d, joined at %d", c.name, g.Version, c.position.Version)
	}
	if err := c.replica.Reset(g.Graph); err != nil {
		c.t.Fatalf("%s: graph: %v", c.name, err)
	}
	c.skip = g.Version
	for _, f := range c.commits {
		if f.Version <= g.Version {
			continue
		}
		for _, e := range f.Events {
			if err := c.replica.Apply(e.Event, e.Data); err != nil {
				c.t.Fatalf("%s: version %d: %v", c.name, f.Version, err)
			}
		}
	}
}

// Reaches waits until the client has received the commit of a version.
func (c *Client) Reaches(version uint64) {
	c.t.Helper()
	c.await(fmt.Sprintf("version %d", version), func() bool { return c.position.Version >= version })
}

// Position is the resume token that the client holds.
func (c *Client) Position() wire.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// Frames are the commit frames received so far, byte for byte.
func (c *Client) Frames() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]byte(nil), c.raw...)
}

// Commits are the commits received so far.
func (c *Client) Commits() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Frame(nil), c.commits...)
}

// Others are the frames received so far that are not commits.
func (c *Client) Others() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Frame(nil), c.others...)
}

// Gone reports whether the connection has ended.
func (c *Client) Gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed != nil
}

// Hash names the client's replica.
func (c *Client) Hash() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica.Hash()
}

// Gets waits for a frame that is not a commit and answers true to ok.
func (c *Client) Gets(what string, ok func(Frame) bool) Frame {
	c.t.Helper()
	var found Frame
	c.await(what, func() bool {
		for _, f := range c.others {
			if ok(f) {
				found = f
				return true
			}
		}
		return false
	})
	return found
}

// IsClosed waits until the server has closed the connection and returns the close code, -1 if there was none.
func (c *Client) IsClosed() int {
	c.t.Helper()
	c.await("the end of the connection", func() bool { return c.closed != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	var ce websocket.CloseError
	if errors.As(c.closed, &ce) {
		return int(ce.Code)
	}
	return -1
}

// IsSentAway waits until the server has closed the connection because it stops, and returns after how long it said to
// come back.
func (c *Client) IsSentAway() time.Duration {
	c.t.Helper()
	if code := c.IsClosed(); code != wire.CloseRestart {
		c.t.Fatalf("%s was closed with %d, want %d", c.name, code, wire.CloseRestart)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var ce websocket.CloseError
	var when struct {
		After int `json:"retry_after_ms"`
	}
	if !errors.As(c.closed, &ce) || json.Unmarshal([]byte(ce.Reason), &when) != nil {
		c.t.Fatalf("%s was told no time: %v", c.name, c.closed)
	}
	return time.Duration(when.After) * time.Millisecond
}

// Send writes one text frame.
func (c *Client) Send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("%s: write: %v", c.name, err)
	}
}

// NameOf is the name of a node in the client's replica, and whether it is there.
func (c *Client) NameOf(id string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica.NameOf(id)
}
