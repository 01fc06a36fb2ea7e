package hub_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

var errDown = errors.New("the fake log is down")

// redis behaves like the event log and its channels, with faults on purpose.
type redis struct {
	latency time.Duration                            // of every read
	fault   func() (copies int, delay time.Duration) // of every published message
	confirm time.Duration                            // from Add to Confirmed

	mu       sync.Mutex
	down     bool
	deaf     bool // publishes nothing
	brief    bool // a read ends after two records
	torn     map[uuid.UUID]bool
	sessions map[uuid.UUID]*branch
	deleted  map[uuid.UUID]bool
	wanted   map[uuid.UUID]bool // channels that the hub asked for
	heard    map[uuid.UUID]bool // those that are subscribed
	cuts     int                // losses of the feed's connection
	commands uint64             // made so far
	ended    bool
	reads    int
	heads    int
	hub      *hub.Hub
	work     sync.WaitGroup
}

// branch is one session's log.
type branch struct {
	at   wire.Position // head
	zero wire.Position
	recs []wire.Record // contiguous; the last is the head
}

func newRedis() *redis {
	return &redis{
		latency: time.Millisecond, confirm: 2 * time.Millisecond,
		fault:    func() (int, time.Duration) { return 1, time.Millisecond },
		sessions: map[uuid.UUID]*branch{}, deleted: map[uuid.UUID]bool{}, torn: map[uuid.UUID]bool{}, wanted: map[uuid.UUID]bool{}, heard: map[uuid.UUID]bool{},
	}
}

func (f *redis) create(n int) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	start := wire.Position{Epoch: wire.Epoch(1000 + n), Digest: wire.Digest{byte(n), 7}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions[id] = &branch{at: start, zero: start}
	return id
}

// commits appends n commits and publishes each.
func (f *redis) commits(id uuid.UUID, n int) {
	for range n {
		f.commit(id, 40)
	}
}

func (f *redis) commit(id uuid.UUID, size int) wire.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.sessions[id]
	var command uuid.UUID
	f.commands++
	binary.BigEndian.PutUint64(command[:], f.commands)
	rec := wire.Build(wire.Header{
		Session: id, Command: command, Epoch: b.at.Epoch, Version: b.at.Version + 1, Prev: b.at.Digest, Time: time.Now().UnixMilli(),
	}, []byte(fmt.Sprintf(`"session_id":"%s"`, id)), []wire.Event{{Name: wire.NodeCreated, Fields: fmt.Appendf(nil, `"pad":"%s"`, strings.Repeat("x", size))}}, nil)
	b.recs = append(b.recs, rec)
	b.at = rec.Position()
	payload := rec.Raw
	if len(payload) > wire.MaxPublished {
		payload = wire.AppendNotice(nil, wire.Notice{Session: id, Position: b.at, Size: uint32(len(payload))})
	}
	f.publish(id, payload)
	return rec
}

// publish sends a message to the hub if it listens; the caller holds mu.
func (f *redis) publish(id uuid.UUID, payload []byte) {
	if f.deaf || !f.heard[id] {
		return
	}
	copies, delay := f.fault()
	for i := range copies {
		f.work.Go(func() {
			time.Sleep(delay * time.Duration(i+1))
			f.hub.Message(id, append([]byte(nil), payload...))
		})
	}
}

func (f *redis) send(id uuid.UUID, payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.publish(id, payload)
}

// trim forgets the log up to a version, inclusive.
func (f *redis) trim(id uuid.UUID, upto uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.sessions[id]
	for len(b.recs) > 0 && b.recs[0].Version <= upto {
		b.recs = b.recs[1:]
	}
}

// rollback loses all commits after a version, as a fail-over does.
func (f *redis) rollback(id uuid.UUID, to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.sessions[id]
	for len(b.recs) > 0 && b.recs[len(b.recs)-1].Version > to {
		b.recs = b.recs[:len(b.recs)-1]
	}
	b.at = b.zero
	if len(b.recs) > 0 {
		b.at = b.recs[len(b.recs)-1].Position()
	}
}

func (f *redis) forget(id uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, id)
}

func (f *redis) set(change func(*redis)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *redis) head(id uuid.UUID) wire.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions[id].at
}

func (f *redis) position(id uuid.UUID, version uint64) wire.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.sessions[id]
	if version == 0 {
		return b.zero
	}
	return b.recs[int(version-b.recs[0].Version)].Position()
}

func (f *redis) readCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// Heads implements hub.Source.
func (f *redis) Heads(ctx context.Context, sessions []uuid.UUID) []hub.Head {
	time.Sleep(f.latency / 2)
	defer time.Sleep(f.latency / 2) // the answer is on its way while the world goes on
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads++
	out := make([]hub.Head, len(sessions))
	for i, s := range sessions {
		switch b := f.sessions[s]; {
		case f.down:
			out[i].Err = errDown
		case ctx.Err() != nil:
			out[i].Err = ctx.Err()
		case f.torn[s]:
			out[i].Torn = true
		case b != nil:
			out[i].Position = b.at
		default:
			out[i].Deleted = f.deleted[s]
		}
	}
	return out
}

// Read implements hub.Source.
func (f *redis) Read(ctx context.Context, id uuid.UUID, from uint64, limit int) ([]wire.Record, bool, error) {
	time.Sleep(f.latency / 2)
	defer time.Sleep(f.latency / 2)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.down {
		return nil, false, errDown
	}
	var out []wire.Record
	if b := f.sessions[id]; b != nil {
		for _, r := range b.recs {
			if r.Version < from {
				continue
			}
			if len(out) == limit || f.brief && len(out) == 2 {
				return out, true, ctx.Err()
			}
			out = append(out, r)
		}
	}
	return out, false, ctx.Err()
}

// Add implements hub.Feed.
func (f *redis) Add(id uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted[id] = true
	delay := f.confirm
	f.work.Go(func() {
		time.Sleep(delay)
		f.confirms(id)
	})
}

// confirms subscribes as soon as Redis is there, unless the hub does not want it any more.
func (f *redis) confirms(id uuid.UUID) {
	for {
		f.mu.Lock()
		wanted, down := f.wanted[id] && !f.ended, f.down
		if wanted && !down {
			f.heard[id] = true
		}
		f.mu.Unlock()
		switch {
		case !wanted:
			return
		case !down:
			f.hub.Confirmed(id)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// cut loses the feed's connection: nothing is heard until it is back after a while and confirms every channel again.
func (f *redis) cut(back time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.heard)
	f.cuts++
	cut := f.cuts
	f.work.Go(func() {
		time.Sleep(back)
		f.mu.Lock()
		last := f.cuts == cut
		ids := slices.SortedFunc(maps.Keys(f.wanted), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		f.mu.Unlock()
		for _, id := range ids {
			if last {
				f.confirms(id)
			}
		}
	})
}

// Remove implements hub.Feed.
func (f *redis) Remove(id uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.wanted, id)
	delete(f.heard, id)
}

// listens reports whether the hub is on the session's channel.
func (f *redis) listens(id uuid.UUID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard[id]
}

// reconnect cuts the feed and confirms every subscription again.
func (f *redis) reconnect() {
	f.mu.Lock()
	ids := make([]uuid.UUID, 0, len(f.heard))
	for id := range f.heard {
		ids = append(ids, id)
	}
	f.mu.Unlock()
	for _, id := range ids {
		f.hub.Confirmed(id)
	}
}
