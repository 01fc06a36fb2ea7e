package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/talus-tally/talus/tests/chaos/topology"
)

// clients are faults of those who use the system.
func clients() []Fault {
	return []Fault{
		{ID: "F13-stuck", Title: "clients that never read", Hold: 6 * time.Second, Aims: 1, Shape: shallow(), Inject: neverRead},
		{ID: "F13-narrow", Title: "clients behind narrow links", Hold: 5 * time.Second, Shape: quick(), Inject: narrow},
		{ID: "F18", Title: "malformed frames", Hold: time.Second, Inject: malformed},
		{ID: "F19-connects", Title: "flood of connections", Hold: 4 * time.Second, Inject: connectFlood},
		{ID: "F19-joins", Title: "storm of joins and leaves", Hold: 4 * time.Second, Aims: 2, Inject: joinStorm},
		{ID: "F19-commands", Title: "flood of commands on a session", Hold: 4 * time.Second, Aims: 1, Inject: commandFlood},
	}
}

// undoDepth is that of systems with large commits: the bytes of their stacks must not pass their own limit, 8 MiB.
const undoDepth = 12

// shallow is a system for large commits. Its processes collect their garbage early, so that what they use at the end is
// what they hold on to.
func shallow() topology.Shape {
	return topology.Shape{Settings: map[string]string{"TALUS_UNDO_DEPTH": strconv.Itoa(undoDepth), "GOMEMLIMIT": "64MiB"}}
}

// quick is shallow with a Redis that does not wait for its disk.
func quick() topology.Shape {
	shape := shallow()
	shape.AOF = "everysec"
	return shape
}

// neverRead joins sessions on connections that are never read, and writes enough to fill them.
func neverRead(ctx context.Context, s *Scene) (Heal, error) {
	const each = 4
	var stuck []*rawSocket
	for _, e := range s.System.Edges {
		for range each {
			r, err := dialRaw(ctx, e, "?session_id="+s.Aimed[0])
			if err != nil {
				return closing(stuck), err
			}
			stuck = append(stuck, r)
		}
	}
	p, err := newPusher(ctx, s, s.Aimed[0], 64<<10)
	if err != nil {
		return closing(stuck), err
	}
	stop := every(20*time.Millisecond, p.push)
	heal := closing(stuck)
	return func(ctx context.Context) error {
		stop()
		s.Note("%d connections were not read, %d commits of 64 KiB", len(stuck), p.done.Load())
		return heal(ctx)
	}, nil
}

// narrow lets the bytes of all clients through slower than one session makes them: their sockets fill.
func narrow(ctx context.Context, s *Scene) (Heal, error) {
	var links []*topology.Link
	for _, e := range s.System.Edges {
		links = append(links, e.Front)
	}
	widen, err := impair(links, func(l *topology.Link) error { return l.Impair("bandwidth", topology.Down, map[string]int{"rate": 300}) })
	if err != nil {
		return widen, err
	}
	p, err := newPusher(ctx, s, s.Sessions[0], 8<<10)
	if err != nil {
		return widen, err
	}
	stops := make([]func(), 4)
	for i := range stops {
		stops[i] = every(2*time.Millisecond, p.push)
	}
	return func(ctx context.Context) error {
		for _, stop := range stops {
			stop()
		}
		s.Note("%d commits of 8 KiB for links of 300 KB/s", p.done.Load())
		return widen(ctx)
	}, nil
}

func closing(sockets []*rawSocket) Heal {
	return func(context.Context) error {
		for _, r := range sockets {
			r.close()
		}
		return nil
	}
}

var errNoNode = errors.New("the node is not there")

// pusher changes one property of a session, again and again.
type pusher struct {
	session, value, url string
	node                atomic.Pointer[string]
	done, refused       atomic.Int64
	first               sync.Once // refusal
	note                func(format string, args ...any)
}

// newPusher makes a node in a session, for values of so many bytes.
func newPusher(ctx context.Context, s *Scene, session string, bytes int) (*pusher, error) {
	value := make([]byte, bytes)
	for i := range value {
		value[i] = 'a' + byte(s.Rng.IntN(26))
	}
	p := &pusher{session: session, value: string(value), url: s.Command().Bare + "/api/v1/commands/execute", note: s.Note}
	return p, p.begin(ctx)
}

// begin makes the node. People may take it away at any time: they undo what they find.
func (p *pusher) begin(ctx context.Context) error {
	var made struct {
		NodeID string `json:"node_id"`
	}
	err := p.send(ctx, "CreateNode", map[string]any{"blueprint_type_id": "thing", "name": "pushed"}, &made)
	if err == nil {
		p.node.Store(&made.NodeID)
	}
	return err
}

func (p *pusher) push(ctx context.Context) {
	err := p.send(ctx, "UpdateProperty", map[string]any{"node_id": *p.node.Load(), "property_id": "p9", "new_value": fmt.Sprint(p.done.Load(), p.value)}, nil)
	switch {
	case err == nil:
		p.done.Add(1)
	case errors.Is(err, errNoNode):
		_ = p.begin(ctx) // the next push tells what is wrong
	case ctx.Err() == nil:
		p.refused.Add(1)
		p.first.Do(func() { p.note("first refusal: %v", err) })
	}
}

func (p *pusher) send(ctx context.Context, kind string, data map[string]any, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	text, err := json.Marshal(map[string]any{"session_id": p.session, "command_type": kind, "data": data})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "return=minimal")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return errNoNode
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // only to say more
		return fmt.Errorf("%s: status %d: %s", kind, resp.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// commandFlood commands one session as fast as it answers.
func commandFlood(ctx context.Context, s *Scene) (Heal, error) {
	p, err := newPusher(ctx, s, s.Aimed[0], 10)
	if err != nil {
		return nil, err
	}
	return flood(s, 8, 2*time.Millisecond, func(ctx context.Context) error { p.push(ctx); return nil }, func() {
		s.Note("%d commands, %d refused", p.done.Load(), p.refused.Load())
	}), nil
}

// flood does something from several sides at once until it is healed.
func flood(s *Scene, sides int, interval time.Duration, do func(ctx context.Context) error, end func()) Heal {
	var stops []func()
	var first sync.Once
	for range sides {
		stops = append(stops, every(interval, func(ctx context.Context) {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				first.Do(func() { s.Note("first refusal: %v", err) })
			}
		}))
	}
	return func(context.Context) error {
		for _, stop := range stops {
			stop()
		}
		end()
		return nil
	}
}

// connectFlood opens connections and closes them, some before the handshake is over.
func connectFlood(_ context.Context, s *Scene) (Heal, error) {
	var opened atomic.Int64
	edge := s.Edge()
	return flood(s, 8, 5*time.Millisecond, func(ctx context.Context) error {
		r, err := dialRaw(ctx, edge, "")
		if err != nil {
			return err
		}
		opened.Add(1)
		r.close()
		return nil
	}, func() { s.Note("%d connections", opened.Load()) }), nil
}

// joinStorm joins and leaves on a few connections.
func joinStorm(ctx context.Context, s *Scene) (Heal, error) {
	var joins atomic.Int64
	var sockets []*rawSocket
	var stops []func()
	var errs error
	for n := range 6 {
		r, err := dialRaw(ctx, s.System.Edges[n%len(s.System.Edges)], "")
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		session := s.Aimed[n%len(s.Aimed)]
		sockets = append(sockets, r)
		go r.discard()
		stops = append(stops, every(5*time.Millisecond, func(context.Context) {
			if r.text(`{"type":"join","id":"j","session_id":"`+session+`"}`) == nil && r.text(`{"type":"leave","id":"l","session_id":"`+session+`"}`) == nil {
				joins.Add(1)
			}
		}))
	}
	heal := closing(sockets)
	return func(ctx context.Context) error {
		for _, stop := range stops {
			stop()
		}
		s.Note("%d joins and leaves", joins.Load())
		return heal(ctx)
	}, errs
}
