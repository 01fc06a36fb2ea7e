package harness

import (
	"encoding/json"
	"fmt"
)

// Announcement is what a session:connected or session:disconnected event says.
type Announcement struct {
	Event    string
	ClientID string `json:"client_id"` // empty: several, or clients of a lost edge
	Count    int    `json:"client_count"`
	Seq      uint64 `json:"seq"`
}

// attend takes note of an event; c.mu is held. What is older than the newest must not come.
func (c *Client) attend(f Frame) error {
	if f.Event != "session:connected" && f.Event != "session:disconnected" {
		return nil
	}
	a := Announcement{Event: f.Event}
	if err := json.Unmarshal(f.Data, &a); err != nil {
		return fmt.Errorf("announcement: %w", err)
	}
	if n := len(c.announced); n > 0 && a.Seq < c.announced[n-1].Seq {
		return fmt.Errorf("announcement %d after %d", a.Seq, c.announced[n-1].Seq)
	}
	c.announced = append(c.announced, a)
	return nil
}

// Announced are the announcements received so far.
func (c *Client) Announced() []Announcement {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Announcement(nil), c.announced...)
}

// ID is the client_id that joined told; empty before.
func (c *Client) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.others {
		if f.Type == "joined" {
			return f.ClientID
		}
	}
	return ""
}

// Counts waits until the newest announcement says that the session has n clients.
func (c *Client) Counts(n int) {
	c.t.Helper()
	c.await(fmt.Sprintf("a session of %d clients", n), func() bool {
		last := len(c.announced) - 1
		return last >= 0 && c.announced[last].Count == n
	})
}

// MeetsItself waits for the announcement of the client's own coming, and fails the test if it came more than once.
func (c *Client) MeetsItself() {
	c.t.Helper()
	id := c.ID()
	own := func() (n int) {
		for _, a := range c.announced {
			if a.ClientID == id && a.Event == "session:connected" {
				n++
			}
		}
		return n
	}
	c.await("its own coming", func() bool { return own() > 0 })
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := own(); n != 1 {
		c.t.Errorf("%s was told of its own coming %d times", c.name, n)
	}
}
