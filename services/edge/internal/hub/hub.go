// Package hub turns the commits of sessions into streams for their clients. One
// room per watched session hears the session's channel, keeps the last commits as
// ready frames in a ring and tells its subscriptions that there is more to read.
//
// It promises that a subscription sees the versions of its session in steps of
// exactly one along one chain, from where it joined, or is told to resync; that
// nothing of another session gets into a room; and that whatever the channel
// loses, delays, repeats or reorders is repaired from the log: a record is
// appended iff its version is the head's plus one and its previous digest is the
// head's digest. Everything else, every confirmation of the subscription and the
// check of idle rooms' heads lead to a read of the log. A room listens first and
// reads second.
//
// While the log cannot be read the clients stay and are told that what they see may
// be old ("stale"); joins are refused. When it can be read again all rooms are
// verified together, each tells its clients "live", and nobody had to come back.
//
// A room counts its clients with presence and hands on, of what is announced of their
// number, only what is newer than what it handed on last. Who joins is told how many
// there are and, when it is counted, about itself.
//
// It knows neither sockets nor Redis: clients, the log and the channel are
// interfaces. It does not decode the JSON of any event. It does not keep a client
// that cannot keep up: pacing is the connection's part.
//
// Goroutines, all ended and waited for by [Hub.Run]: the caller of Run (head
// checks, housekeeping), one per room while the room has work, Config.Writers-1 more
// per big room while a commit goes to its clients, and one more per
// room while some of its clients read old commits from the log.
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/wire"
)

// Reasons for which a subscription ends or never begins.
var (
	ErrNoSession   = errors.New("hub: no such session")
	ErrLost        = fmt.Errorf("%w: its data are lost", ErrNoSession) // nobody deleted it
	ErrTorn        = fmt.Errorf("%w: they contradict each other", ErrLost)
	ErrUnavailable = errors.New("hub: the log cannot be read")
)

// Head is where the log of one session ends.
type Head struct {
	Position wire.Position // zero: there is no such session that can be continued
	Deleted  bool          // there was one, and somebody deleted it
	Torn     bool          // there is one, and it is closed because its data contradict each other
	Err      error         // the head could not be read; nothing else is known
}

// Source is what the hub needs of the event log.
type Source interface {
	// Heads returns the head of each session, in order.
	Heads(ctx context.Context, sessions []uuid.UUID) []Head
	// Read returns up to limit records of the session from version `from` on, oldest
	// first, or fewer if they are large, and whether there are more; two at least, if
	// there are. Versions that are no longer kept are left out, so the first record
	// may be a later one; an empty result means that nothing from there on is kept. An
	// error that wraps ErrLost means that the log must not be continued.
	Read(ctx context.Context, session uuid.UUID, from uint64, limit int) (records []wire.Record, more bool, err error)
}

// Feed subscribes to the channels of sessions. Its methods do not block.
type Feed interface {
	Add(session uuid.UUID)
	Remove(session uuid.UUID)
}

// Config holds the hub's bounds. A zero field means its default.
type Config struct {
	RingFrames  int           // commits that a room keeps as frames, default 1,024
	RingBytes   int           // bytes of those frames, default 4 MiB
	InboxBytes  int           // bytes of unread channel messages per room before it reads the log instead, default 1 MiB
	LargeRecord int           // records of more bytes are not fanned out, clients resync, default 1 MiB
	Chunk       int           // records per read of the log, default 256
	HeadCheck   time.Duration // how often the head of an idle room is checked, default 1 s
	Linger      time.Duration // how long a room outlives its last client, default 30 s
	JoinTimeout time.Duration // how long a join waits for Redis, default 10 s
	ReadTimeout time.Duration // bound of one read of the log, default 2 s
	Writers     int           // goroutines that hand a commit to the clients of one big room, default half of GOMAXPROCS: who reads needs cores, too
	Share       int           // clients of a room per such goroutine, at least, default 256

	Presence Presence // counts the clients on all edges; nil: only those here are counted, nobody is announced
}

func (c Config) withDefaults() Config {
	return Config{
		RingFrames:  cmp.Or(c.RingFrames, 1024),
		RingBytes:   cmp.Or(c.RingBytes, 4<<20),
		InboxBytes:  cmp.Or(c.InboxBytes, 1<<20),
		LargeRecord: cmp.Or(c.LargeRecord, 1<<20),
		Chunk:       cmp.Or(c.Chunk, 256),
		HeadCheck:   cmp.Or(c.HeadCheck, time.Second),
		Linger:      cmp.Or(c.Linger, 30*time.Second),
		JoinTimeout: cmp.Or(c.JoinTimeout, 10*time.Second),
		ReadTimeout: cmp.Or(c.ReadTimeout, 2*time.Second),
		Writers:     cmp.Or(c.Writers, max(1, runtime.GOMAXPROCS(0)/2)),
		Share:       cmp.Or(c.Share, 256),
		Presence:    c.Presence,
	}
}

// Hub has a room for each session that somebody watches. It is the handler of the
// feed that it was given.
type Hub struct {
	cfg     Config
	log     *slog.Logger
	source  Source
	feed    Feed
	metrics *metrics

	// ctx bounds the reads of rooms. It is the hub's lifetime, not a caller's: rooms
	// serve many callers. Run cancels it.
	ctx    context.Context
	cancel context.CancelFunc

	work sync.WaitGroup // goroutines of rooms
	wake chan struct{}  // capacity 1: there are heads to check now

	mu    sync.RWMutex // before a room's lock, which is before life
	rooms map[uuid.UUID]*Room

	life   sync.RWMutex
	closed bool

	suspects suspects
}

// New returns a hub without rooms. connect is called once with the hub as the
// handler of channel messages and returns the feed that calls it. The metrics are
// registered with reg.
func New(cfg Config, source Source, connect func(*Hub) Feed, reg prometheus.Registerer, log *slog.Logger) *Hub {
	h := &Hub{
		cfg: cfg.withDefaults(), log: log, source: source, metrics: newMetrics(reg),
		wake: make(chan struct{}, 1), rooms: map[uuid.UUID]*Room{},
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.feed = connect(h)
	return h
}

// Run checks heads and clears away idle rooms until ctx ends, then ends all rooms
// and waits for their goroutines. Subscriptions hear nothing of that: whoever runs
// the hub sends the clients away first.
func (h *Hub) Run(ctx context.Context) error {
	h.check(ctx)
	h.life.Lock()
	h.closed = true
	h.life.Unlock()
	h.cancel()
	h.work.Wait()
	return nil
}

// Join asks for the session's commits, in a format, on behalf of client: from now
// on, or those that follow after. The answer comes through the client, from another
// goroutine or, when the hub has ended, from this one.
func (h *Hub) Join(session uuid.UUID, after After, format Format, client Client) *Subscription {
	s := &Subscription{client: client, format: format}
	for {
		room := h.room(session)
		if room == nil {
			client.Ended(ErrUnavailable)
			return s
		}
		s.room = room
		if room.do(func() { room.join(s, after) }) {
			return s
		}
	}
}

// Message takes a message of the session's channel. The payload belongs to the
// hub from then on. It never blocks.
func (h *Hub) Message(session uuid.UUID, payload []byte) {
	if room := h.find(session); room != nil {
		room.hear(payload)
		return
	}
	h.metrics.dropped.WithLabelValues("no_room").Inc()
}

// Confirmed notes that the subscription of the session's channel stands, for the
// first time or again: what was published before may have been missed. It never
// blocks.
func (h *Hub) Confirmed(session uuid.UUID) {
	if room := h.find(session); room != nil {
		room.confirmed.Store(true)
		h.suspect(room)
	}
}

// Rooms is the number of rooms, watched or lingering.
func (h *Hub) Rooms() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.rooms)
}

func (h *Hub) find(session uuid.UUID) *Room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.rooms[session]
}

// all are the rooms that there are now.
func (h *Hub) all() []*Room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.Collect(maps.Values(h.rooms))
}

// room finds the session's room or opens it; nil when the hub has ended.
func (h *Hub) room(session uuid.UUID) *Room {
	if h.ended() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	room := h.rooms[session]
	if room == nil {
		room = newRoom(h, session)
		h.rooms[session] = room
		h.metrics.rooms.Inc()
		h.feed.Add(session)
	}
	return room
}

// forget takes a dead room out of the table and off the channel.
func (h *Hub) forget(r *Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[r.session] == r {
		delete(h.rooms, r.session)
		h.metrics.rooms.Dec()
		h.feed.Remove(r.session)
	}
}

func (h *Hub) ended() bool {
	h.life.RLock()
	defer h.life.RUnlock()
	return h.closed
}

// spawn starts a goroutine of a room; false when the hub has ended.
func (h *Hub) spawn(f func()) bool {
	h.life.RLock()
	defer h.life.RUnlock()
	if h.closed {
		return false
	}
	h.work.Go(f)
	return true
}
