package hub_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// person is a client that reads like a connection does: a cursor into the ring,
// refilled from the log when it falls off. It checks the client rule on all it gets.
type person struct {
	t       *testing.T
	session uuid.UUID
	id      uuid.UUID

	mu       sync.Mutex
	sub      *hub.Subscription
	ring     *hub.Ring
	at       wire.Position // what the next commit must follow
	asking   bool
	paused   bool
	starts   []hub.Start
	seen     []uint64 // versions, in order
	events   []string
	own      []string // what it was told about itself
	knows    [hub.Topics]uint64
	eventsAt []uint64 // version that each event found
	ended    bool
	err      error
	refills  int
}

func (w *world) joins(t *testing.T, session uuid.UUID, after hub.After) *person {
	t.Helper()
	p := &person{t: t, session: session, id: uuid.New()}
	s := w.Join(session, after, hub.Native, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sub = s
	return p
}

func behind(at wire.Position) hub.After { return hub.After{Given: true, Proven: true, Position: at} }

func bare(version uint64) hub.After {
	return hub.After{Given: true, Position: wire.Position{Version: version}}
}

func (p *person) Start(s hub.Start) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts = append(p.starts, s)
	p.sub, p.ring, p.at, p.asking = s.Sub, s.Ring, s.Position, false
	p.read()
}

func (p *person) Deliver(version uint64, frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if frame == nil || version != p.ring.Head() {
		p.t.Errorf("delivered version %d without its frame, head %d", version, p.ring.Head())
	}
	p.read()
}

func (p *person) Event(frame []byte, state hub.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if state.Number > 0 && state.Number <= p.knows[state.Topic] {
		p.t.Errorf("told %+v after number %d", state, p.knows[state.Topic])
	}
	p.knows[state.Topic] = max(p.knows[state.Topic], state.Number)
	p.events = append(p.events, string(payload(p.t, frame)))
	p.eventsAt = append(p.eventsAt, p.at.Version)
}

func (p *person) ID() uuid.UUID { return p.id }

func (p *person) Own(frame []byte, state hub.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.knows[state.Topic] = state.Number
	p.own = append(p.own, string(payload(p.t, frame)))
}

func (p *person) Ended(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		p.t.Error("ended twice")
	}
	p.ended, p.err = true, err
}

// read takes what the ring has; the caller holds mu.
func (p *person) read() {
	for !p.paused && !p.asking && p.at.Version < p.ring.Head() {
		frame := p.ring.Frame(p.at.Version + 1)
		if frame == nil {
			p.asking = true
			p.refills++
			ring := p.ring
			p.sub.Refill(ring, p.at.Version, func(first uint64, frames [][]byte) { p.supply(ring, first, frames) })
			return
		}
		p.accept(frame)
	}
}

func (p *person) supply(ring *hub.Ring, first uint64, frames [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ring != p.ring {
		return
	}
	p.asking = false
	if first != p.at.Version+1 {
		p.t.Errorf("supplied from %d, wants %d", first, p.at.Version+1)
	}
	for _, f := range frames {
		p.accept(f)
	}
	p.read()
}

// accept applies the client rule of api.md part 8.
func (p *person) accept(frame []byte) {
	var c struct {
		Type, Position, Prev string
		Version              uint64
		Session              uuid.UUID `json:"session_id"`
	}
	if err := json.Unmarshal(payload(p.t, frame), &c); err != nil {
		p.t.Errorf("frame: %v", err)
	}
	next, err := wire.ParsePosition(c.Position)
	if err != nil {
		p.t.Errorf("frame: %v", err)
	}
	if c.Session != p.session || next.Epoch != p.at.Epoch || c.Version != p.at.Version+1 || c.Prev != p.at.Digest.String() {
		p.t.Errorf("commit %+v does not follow %v", c, p.at)
	}
	p.at = next
	p.seen = append(p.seen, c.Version)
}

// pause stops or resumes reading, like a peer that does not take bytes.
func (p *person) pause(stop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused = stop; !stop && p.ring != nil {
		p.read()
	}
}

// stands is the position that the person has, once it has one.
func (p *person) stands() (wire.Position, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at, len(p.starts) > 0
}

func (p *person) leaves() {
	p.mu.Lock()
	sub := p.sub
	p.mu.Unlock()
	sub.Leave()
}

func (p *person) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// saw checks that exactly the versions from..to have come.
func (p *person) saw(from, to uint64) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var want []uint64
	for v := from; v <= to; v++ {
		want = append(want, v)
	}
	if !slices.Equal(p.seen, want) {
		p.t.Errorf("saw %s, want %d…%d (starts %+v, ended %v %v)", brief(p.seen), from, to, p.starts, p.ended, p.err)
	}
}

func brief(v []uint64) string {
	if len(v) > 12 {
		return fmt.Sprintf("%v … %v (%d)", v[:6], v[len(v)-6:], len(v))
	}
	return fmt.Sprint(v)
}

// started checks the last start and returns it.
func (p *person) started(version uint64, resumed bool, reason hub.Reason) hub.Start {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.starts) == 0 {
		p.t.Fatalf("never started (ended %v: %v)", p.ended, p.err)
	}
	s := p.starts[len(p.starts)-1]
	if s.Position.Version != version || s.Resumed != resumed || s.Reason != reason {
		p.t.Errorf("started at %d resumed %v reason %q, want %d %v %q",
			s.Position.Version, s.Resumed, s.Reason, version, resumed, reason)
	}
	return s
}

// payload takes the WebSocket header off an unmasked text frame.
func payload(t *testing.T, frame []byte) []byte {
	t.Helper()
	if len(frame) < 2 || frame[0] != 0x81 {
		t.Fatalf("not a final text frame: % x", frame[:min(4, len(frame))])
	}
	length, rest := int(frame[1]), frame[2:]
	switch length {
	case 126:
		length, rest = int(frame[2])<<8|int(frame[3]), frame[4:]
	case 127:
		length = 0
		for _, b := range frame[2:10] {
			length = length<<8 | int(b)
		}
		rest = frame[10:]
	}
	if length != len(rest) {
		t.Fatalf("header says %d bytes, frame has %d", length, len(rest))
	}
	return rest
}

// wait lets time pass and then everything come to rest, so that the test may look at what the room's goroutines wrote.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// latest is what a client that missed something finds when it has been told some states.
func latest(s *hub.Subscription, told [hub.Topics]uint64) string {
	frames, _ := s.Latest(told)
	return string(frames)
}
