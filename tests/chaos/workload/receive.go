package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// take handles one frame. An error ends the connection.
func (l *link) take(ctx, fetching context.Context, raw []byte) error {
	f, err := parseFrame(raw)
	line := history.Line{Kind: history.Note, F: history.Frame, Session: f.SessionID, Conn: l.name(), Node: l.edge, Canary: history.Canaries(raw), Text: f.Type}
	if err != nil {
		line.Error = "a frame that is no JSON: " + err.Error()
		l.w.Recorder.Record(line)
		return err
	}
	c := l.client(f)
	if c == nil {
		if f.SessionID != "" {
			line.Error = "a frame of session " + f.SessionID + ", which it never joined"
		}
		l.record(line)
		return nil
	}
	line.Session, line.Client = c.session.id, c.name
	switch f.Type {
	case "joined":
		l.joined(fetching, c, f, line)
	case "commit":
		return l.commit(fetching, c, f, raw, line)
	case "resync":
		line.F, line.Position, line.Reason = history.Resync, f.Position, f.Reason
		l.record(line)
		c.resync(f)
		l.fetch(fetching, c, l.jitter())
	case "left":
		l.ended(c, errLeft)
		return l.join(ctx, c)
	case "error":
		return l.refused(c, f, line)
	case "event":
		if strings.HasPrefix(f.Event, "session:") {
			line.F, line.Event, line.Subject = history.Presence, f.Event, f.Data.ClientID
			line.Count, line.Seq = f.Data.ClientCount, f.Data.Seq
			c.hears(f)
		}
		line.Event = f.Event
		l.record(line)
	default:
		line.Reason = f.Status
		l.record(line)
	}
	return nil
}

var errLeft = errors.New("left")

// client is whom a frame is for; nil when it is for the connection, or for nobody here.
func (l *link) client(f frame) *client {
	for _, c := range l.clients {
		if c.session.id == f.SessionID || f.SessionID == "" && f.Type == "error" && (f.ID == c.name || len(l.clients) == 1) {
			return c
		}
	}
	return nil
}

// record records a frame, unless there is nothing in it.
func (l *link) record(line history.Line) {
	if line.Session == "" && line.Canary == "" && line.Error == "" {
		return // a pong
	}
	l.w.Recorder.Record(line)
}

func (l *link) jitter() time.Duration { return time.Duration(l.rng.Int64N(int64(l.w.Jitter) + 1)) }

// joined records where a subscription begins.
func (l *link) joined(fetching context.Context, c *client, f frame, line history.Line) {
	c.mu.Lock()
	after := c.asked
	c.mu.Unlock()
	line.F, line.Position, line.Resumed, line.Subject, line.Count = history.Sub, f.Position, f.Resumed, f.ClientID, f.ClientCount
	if !after.IsZero() {
		line.After = after.String()
	}
	l.record(line)
	if c.join(f, after) {
		l.fetch(fetching, c, 0)
	}
}

// commit records a commit and applies it.
func (l *link) commit(fetching context.Context, c *client, f frame, raw []byte, line history.Line) error {
	hash, err := c.commit(f)
	line.F, line.Position, line.Prev, line.Payload, line.Hash = history.Recv, f.Position, f.Prev, history.Fingerprint(raw), hash
	if err != nil && !errors.Is(err, errRule) && !broken(err) {
		line.Error = err.Error()
	}
	l.record(line)
	if errors.Is(err, errRule) {
		return fmt.Errorf("%w: %s", err, f.Position)
	}
	if err != nil {
		l.fetch(fetching, c, l.jitter())
	}
	return nil
}

// refused handles an error frame. What may be tried again is, on a new connection.
func (l *link) refused(c *client, f frame, line history.Line) error {
	line.Code, line.Text = f.Code, f.Message
	l.record(line)
	if wire.Code(f.Code) == wire.InvalidSession {
		c.mu.Lock()
		c.gone = true
		c.mu.Unlock()
		if len(l.clients) > 1 {
			return nil // the others stay
		}
	}
	return fmt.Errorf("refused: %s", f.Code)
}

// hears notes what an announcement says.
func (c *client) hears(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count, c.told = f.Data.ClientCount, true
}
