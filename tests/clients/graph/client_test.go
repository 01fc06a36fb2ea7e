package graph_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for something that should happen.
const patience = 90 * time.Second

// options are those of the clients, which all spell them alike.
type options struct {
	Auth       map[string]any `json:"auth,omitempty"`
	Transports []string       `json:"transports,omitempty"`

	ReconnectionDelay    int  `json:"reconnectionDelay,omitempty"` // ms; JavaScript
	ReconnectionDelayMax int  `json:"reconnectionDelayMax,omitempty"`
	ForceNew             bool `json:"forceNew,omitempty"`
}

// modes are the ways in which clients get to the server.
var modes = map[string][]string{"polling": {"polling"}, "websocket": {"websocket"}, "upgrade": nil}

// happening is what a client says.
type happening struct {
	Kind      string // connect, disconnect, upgrade, refused, event, ack or failed
	ID        json.RawMessage
	Recovered bool
	Transport string
	Reason    string
	Event     string
	Args      []json.RawMessage
}

// fields are what tests read in an event's object.
type fields struct {
	Session string `json:"session_id"`
	Client  string `json:"client_id"`
	Node    string `json:"node_id"`
	Version uint64 `json:"version"`
	Success *bool  `json:"success"`
	Code    string `json:"code"`
}

func (h happening) fields() (f fields) {
	if len(h.Args) > 0 {
		_ = json.Unmarshal(h.Args[0], &f) // what is no object has no fields
	}
	return f
}

// client is a running client.
type client struct {
	t     *testing.T
	name  string
	order func(any)

	mu      sync.Mutex
	all     []happening
	changed chan struct{} // closed and replaced with each
	seen    int           // what await has passed
}

func newClient(t *testing.T, name string) *client {
	return &client{t: t, name: name, changed: make(chan struct{})}
}

func (c *client) happened(h happening) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, h)
	close(c.changed)
	c.changed = make(chan struct{})
}

// config is what the drivers read.
func config(url string, o options) string {
	o.ForceNew = true
	if o.ReconnectionDelay == 0 {
		o.ReconnectionDelay, o.ReconnectionDelayMax = 100, 1000
	}
	text, _ := json.Marshal(map[string]any{"url": url + "/graph", "options": o}) // texts and numbers always have a JSON form
	return string(text)
}

// process runs a client that is a process with orders as lines of its input.
func process(t *testing.T, name string, command ...string) *client {
	t.Helper()
	c := newClient(t, name)
	cmd := exec.Command(command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var h happening
			if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
				t.Errorf("%s says %q: %v", name, lines.Bytes(), err)
				continue
			}
			c.happened(h)
		}
	})
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // it may have ended already
		reading.Wait()
		_ = cmd.Wait()
	})
	c.order = func(what any) {
		text, _ := json.Marshal(what) // it is made of texts and numbers
		if _, err := io.WriteString(in, string(text)+"\n"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return c
}

// kinds are the clients there are.
var kinds = map[string]func(t *testing.T, name, url string, o options) *client{
	"node": func(t *testing.T, name, url string, o options) *client {
		t.Helper()
		return process(t, name, "node", "driver/node.mjs", config(url, o))
	},
	"python": func(t *testing.T, name, url string, o options) *client {
		t.Helper()
		return process(t, name, python, "driver/client.py", config(url, o))
	},
	"browser": func(t *testing.T, name, url string, o options) *client {
		t.Helper()
		return browse(t, name, config(url, o))
	},
}

// await waits until something has happened that matches, after what the last await has found, and returns it.
func (c *client) await(what string, match func(happening) bool) happening {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		for c.seen < len(c.all) {
			h := c.all[c.seen]
			c.seen++
			if match(h) {
				c.mu.Unlock()
				return h
			}
		}
		changed, all := c.changed, c.all
		c.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("%s: %s did not happen; the last of %d: %s", c.name, what, len(all), tail(all))
		}
	}
}

func tail(all []happening) string {
	var b strings.Builder
	for _, h := range all[max(0, len(all)-6):] {
		_, _ = fmt.Fprintf(&b, "\n\t%s %s %s %s %.200s", h.Kind, h.Transport, h.Reason, h.Event, h.Args)
	}
	return b.String()
}

func (c *client) connects() happening {
	c.t.Helper()
	return c.await("a connection", func(h happening) bool { return h.Kind == "connect" })
}

func (c *client) event(name string) happening {
	c.t.Helper()
	return c.await(name, func(h happening) bool { return h.Kind == "event" && h.Event == name })
}

func (c *client) emit(event string, args ...any) {
	c.order(map[string]any{"emit": append([]any{event}, args...)})
}

// asks emits an event and waits for its acknowledgement.
func (c *client) asks(number int, event string, args ...any) happening {
	c.t.Helper()
	c.order(map[string]any{"emit": append([]any{event}, args...), "ack": number})
	h := c.await("an acknowledgement", func(h happening) bool { return h.Kind == "ack" && string(h.ID) == fmt.Sprint(number) })
	if h.Reason != "" || len(h.Args) == 0 {
		c.t.Fatalf("%s: acknowledged with %q %s", c.name, h.Reason, h.Args)
	}
	return h
}

// history is all that has happened.
func (c *client) history() []happening {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]happening(nil), c.all...)
}
