package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
	"github.com/talus-tally/talus/tests/replica"
)

// link is a place from which connections are made, one after the other, each for the same clients: one, or several of
// different sessions that share it.
type link struct {
	w       *workload
	rng     *rand.Rand // of run's goroutine
	clients []*client
	made    int // connections
	edge    string
	conn    *websocket.Conn
	reads   *sync.WaitGroup // of graphs
}

// connect makes the clients and their links. The last client of a session may share its connection with those of others.
func (w *workload) connect() []*link {
	const most = 8 // sessions on a connection
	var links []*link
	var shared *link
	for i, s := range w.sessions {
		for n := range w.Clients {
			c := &client{w: w, session: s, name: fmt.Sprintf("s%dc%d", i, n)}
			w.clients = append(w.clients, c)
			if w.Sharing > 0 && n%w.Sharing == w.Sharing-1 {
				if shared == nil || len(shared.clients) == most || shared.has(s) {
					shared = w.newLink(len(links))
					links = append(links, shared)
				}
				shared.clients = append(shared.clients, c)
				continue
			}
			l := w.newLink(len(links))
			l.clients = []*client{c}
			links = append(links, l)
		}
	}
	return links
}

func (w *workload) newLink(number int) *link {
	return &link{w: w, rng: w.draws(1<<48 + uint64(number)), reads: new(sync.WaitGroup)}
}

func (l *link) has(s *session) bool {
	for _, c := range l.clients {
		if c.session == s {
			return true
		}
	}
	return false
}

// name is that of the present connection.
func (l *link) name() string { return fmt.Sprintf("%s#%d", l.clients[0].name, l.made) }

// run connects again and again until ctx ends or all clients were sent away.
func (l *link) run(ctx context.Context) {
	defer l.reads.Wait()
	for try := 0; ctx.Err() == nil && !l.over(); {
		err := l.dial(ctx)
		if err == nil {
			try = 0
			err = l.follow(ctx)
		}
		if !pause(ctx, l.backOff(err, &try)) {
			return
		}
	}
}

// over reports whether all clients were sent away.
func (l *link) over() bool {
	for _, c := range l.clients {
		c.mu.Lock()
		gone := c.gone
		c.mu.Unlock()
		if !gone {
			return false
		}
	}
	return true
}

// dial opens a connection on any edge. A client that is alone may join by the URL.
func (l *link) dial(ctx context.Context) error {
	l.edge = l.w.Edges[l.rng.IntN(len(l.w.Edges))]
	l.made++
	url := "ws" + strings.TrimPrefix(strings.TrimSuffix(l.edge, "/"), "http") + "/ws"
	byURL := len(l.clients) == 1 && l.rng.IntN(2) == 0
	if byURL {
		c := l.clients[0]
		url += "?session_id=" + c.session.id
		if after := c.asks(); !after.IsZero() {
			url += "&after=" + after.String()
		}
	}
	dialing, cancel := context.WithTimeout(ctx, l.w.Timeout)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, url, nil) //nolint:bodyclose // the body of an upgrade is the connection
	if err != nil {
		return err
	}
	conn.SetReadLimit(64 << 20)
	l.conn = conn
	if byURL {
		return nil
	}
	for _, c := range l.clients {
		if err := l.join(ctx, c); err != nil {
			return errors.Join(err, conn.CloseNow())
		}
	}
	return nil
}

// asks is the position that the client asks to go on from; zero when it has none.
func (c *client) asks() wire.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined, c.leaving, c.asked = false, false, c.position
	return c.asked
}

// join asks for a client's session by message.
func (l *link) join(ctx context.Context, c *client) error {
	request := map[string]string{"type": "join", "id": c.name, "session_id": c.session.id}
	if after := c.asks(); !after.IsZero() {
		request["after"] = after.String()
	}
	return l.write(ctx, request)
}

func (l *link) write(ctx context.Context, request map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, l.w.Timeout)
	defer cancel()
	return l.conn.Write(ctx, websocket.MessageText, mustJSON(request))
}

// follow reads the connection to its end, and records that. Beside it a keeper sends pings and grows tired of it.
func (l *link) follow(ctx context.Context) error {
	life, end := context.WithCancel(ctx)
	fetching, giveUp := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	tired := l.w.draws(l.rng.Uint64())
	keeper.Go(func() { l.keep(life, tired) })
	var err error
	for err == nil {
		err = l.next(life, fetching)
	}
	end()
	keeper.Wait()
	giveUp()
	_ = l.conn.CloseNow() // it has ended, whatever this says
	for _, c := range l.clients {
		l.ended(c, err)
	}
	return err
}

// next reads one frame. A connection that is silent for too long is given up.
func (l *link) next(ctx, fetching context.Context) error {
	reading, cancel := context.WithTimeout(ctx, l.w.Silence)
	defer cancel()
	_, raw, err := l.conn.Read(reading)
	if err != nil {
		return err
	}
	return l.take(ctx, fetching, raw)
}

// keep pings, and after a while makes the client come back: without a word, with a close, or by leaving and joining again
// on the same connection.
func (l *link) keep(ctx context.Context, rng *rand.Rand) {
	churn := time.Duration(1<<62 - 1)
	if l.w.Churn > 0 {
		churn = time.Duration((0.2 + rng.ExpFloat64()) * float64(l.w.Churn))
	}
	tired := time.NewTimer(churn)
	defer tired.Stop()
	ping := time.NewTicker(l.w.Silence / 3)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ping.C:
			if l.write(ctx, map[string]string{"type": "ping", "id": "p"}) != nil {
				return // the reader hears of it, too
			}
		case <-tired.C:
			if !l.w.resting.Load() && !l.tire(ctx, rng) {
				return
			}
			tired.Reset(churn)
		}
	}
}

// tire reports whether the connection goes on.
func (l *link) tire(ctx context.Context, rng *rand.Rand) bool {
	switch rng.IntN(4) {
	case 0:
		_ = l.conn.CloseNow() // the reader records the end
		return false
	case 1:
		_ = l.conn.Close(websocket.StatusNormalClosure, "")
		return false
	default:
		c := l.clients[rng.IntN(len(l.clients))]
		if !c.leaves() {
			return true // it does so already, or has not come yet
		}
		return l.write(ctx, map[string]string{"type": "leave", "id": c.name, "session_id": c.session.id}) == nil
	}
}

// leaves notes that the client asks to leave, if it may.
func (c *client) leaves() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.joined || c.leaving {
		return false
	}
	c.leaving = true
	return true
}

// ended records the end of a subscription, if it had begun.
func (l *link) ended(c *client, err error) {
	c.mu.Lock()
	joined, code := c.joined, websocket.CloseStatus(err)
	c.joined = false
	c.reading++ // what is being read now is for a stream that has ended
	if code >= 4000 && code < 4100 {
		c.gone = true
	}
	gone := c.gone
	c.mu.Unlock()
	if !joined && !gone {
		return
	}
	line := history.Line{Kind: history.Note, F: history.Disc, Session: c.session.id, Client: c.name, Conn: l.name(), Node: l.edge,
		Status: max(0, int(code)), Text: err.Error()}
	if gone {
		line.Reason = history.SentAway
	}
	l.w.Recorder.Record(line)
}

// backOff is how long to wait before the next connection, by the rules of the close codes.
func (l *link) backOff(err error, try *int) time.Duration {
	*try++
	jitter := time.Duration(l.rng.Int64N(int64(min(l.w.Jitter, 200*time.Millisecond)) + 1))
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		return jitter + min(l.w.Jitter, time.Duration(*try-1)*100*time.Millisecond)
	}
	var reason struct {
		RetryAfterMS int64 `json:"retry_after_ms"`
	}
	_ = json.Unmarshal([]byte(closed.Reason), &reason) // most reasons are for people
	if closed.Code >= 4100 && closed.Code < 4200 {
		jitter += time.Duration(*try) * 250 * time.Millisecond
	}
	return jitter + time.Duration(reason.RetryAfterMS)*time.Millisecond
}

// fetch reads a client's graph in a goroutine of its own.
func (l *link) fetch(ctx context.Context, c *client, wait time.Duration) {
	number := c.begin()
	l.reads.Go(func() { c.fetch(ctx, number, wait) })
}

// broken reports whether an error of following the events means that the graph must be read.
func broken(err error) bool { return errors.Is(err, replica.ErrFetch) }
