package session

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

// live is a session with its graph in memory.
//
// The worker, which is whatever runs in the queue, alone changes the state. It reads
// it without a lock; it locks mu to change it, and readers hold mu shared while they
// look. Whatever is not committed lives in drafts of the graph that only the worker
// sees.
type live struct {
	svc     *Service
	id      uuid.UUID
	queue   queue
	barrier *barrier
	repeats repeats

	// clock orders what happens to the session: a request has the time at which it
	// arrived, and so has the last moment at which the state is known to have been
	// the head (or to lie after it).
	clock     atomic.Uint64
	confirmed uint64 // worker
	late      late   // worker

	mu    sync.RWMutex
	state *state // nil: not loaded
	shown shown

	// Guarded by warm.mu.
	place *list.Element
	users int
	size  int64
}

// goal is how far a state must have come before it may be used.
type goal struct {
	head  wire.Position // at least here; zero: anywhere
	dead  wire.Position // if the state is here, it is on a branch that did not survive; zero: none
	began uint64        // when the reading began that found the head; 0: none did
}

// toward is the goal that a reading of the head sets.
func toward(l *look) goal {
	g := goal{head: l.head.Position, began: l.began}
	if l.forked() {
		g.dead = l.had
	}
	return g
}

// met reports whether a state at p has reached the goal.
func (g goal) met(p wire.Position) bool {
	if g.dead == p && !p.IsZero() {
		return false
	}
	if g.head.IsZero() || p == g.head || planted.Is(planted.StaleReads) {
		return true
	}
	return p.Epoch == g.head.Epoch && p.Version > g.head.Version
}

// look reads the head after the call began, together with all who ask for it now.
func (l *live) look(ctx context.Context) (*look, error) {
	return l.barrier.look(ctx, func(ctx context.Context, k *look) {
		k.had, k.began = l.position(), l.clock.Add(1)
		head, err := l.svc.deps.Log.Head(ctx, l.id)
		k.head, k.err = head, l.failure(err)
	})
}

// position is where the state stands, zero if nothing is loaded.
func (l *live) position() wire.Position {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil {
		return wire.Position{}
	}
	return l.state.pos
}

// reach brings the state to the goal: it follows the log, or loads the session.
// Worker only.
func (l *live) reach(ctx context.Context, g goal) (*state, error) {
	for l.state != nil {
		st := l.state
		if g.met(st.pos) {
			l.confirmed = max(l.confirmed, g.began)
			return st, nil
		}
		err := errStale
		if st.pos != g.dead {
			err = l.follow(ctx)
		}
		switch {
		case lost(err):
			return nil, l.failure(err)
		case err != nil:
			l.forget(err)
		}
	}
	return l.load(ctx)
}

// followChunk is the number of records that are read at once.
const followChunk = 1000

// follow reads what other instances committed. Worker only.
func (l *live) follow(ctx context.Context) error {
	tail, err := l.svc.deps.Log.ReadFrom(ctx, l.id, l.state.pos, followChunk)
	if err != nil {
		return err
	}
	if len(tail.Records) == 0 {
		return errStale
	}
	return l.apply(tail.Records)
}

// forget drops the state because it does not lead to the head. Worker only.
func (l *live) forget(why error) {
	l.svc.metrics.reloads.Inc()
	l.svc.log.Info("session is loaded again", "session", l.id, "version", l.state.pos.Version, "err", why)
	l.drop()
}

// loadTimeout bounds the load of a session. It is longer than the deadline of a call,
// which may give up and find the session loaded when it comes again.
const loadTimeout = 30 * time.Second

// load reads the whole session. Worker only.
func (l *live) load(ctx context.Context) (*state, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	defer cancel()
	l.drop()
	began := l.clock.Add(1)
	loaded, err := l.svc.deps.Log.Load(ctx, l.id)
	if err != nil {
		return nil, l.failure(err)
	}
	st, err := newState(loaded)
	if err != nil { // what is stored belongs together and makes no graph all the same
		_, _ = l.svc.deps.Log.Condemn(ctx, l.id, err.Error()) // or the next who loads it
		l.svc.log.Error("session is torn", "session", l.id, "err", err)
		return nil, err
	}
	st.template = l.svc.template(st.templateID)
	l.svc.metrics.loads.Inc()
	l.svc.list(ctx, eventlog.Overview{Session: l.id, Head: loaded.Head})
	l.replace(st)
	l.confirmed = began
	return st, nil
}

// apply carries out records that other instances committed. Worker only. The error
// wraps errStale if they do not continue the state.
func (l *live) apply(entries []eventlog.LogEntry) error {
	s, err := l.state.steps(entries)
	if err != nil {
		return err
	}
	l.advance(s)
	return nil
}

// advance makes a committed step the state. Worker only.
func (l *live) advance(s step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.advance(s)
	l.shown.clear()
}

// replace sets the state. Worker only.
func (l *live) replace(st *state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = st
	l.shown.clear()
}

// drop forgets the state: what Redis has is not known any more. Worker only.
func (l *live) drop() { l.replace(nil) }

// read calls fn with a state that was the head after the call began, or a later one.
// fn holds up the session's commands and must not block.
func (l *live) read(ctx context.Context, fn func(*state, eventlog.Head) error) error {
	k, err := l.look(ctx)
	if err != nil {
		return err
	}
	g := toward(k)
	for {
		if done, err := l.tryRead(g, k.head, fn); done {
			return err
		}
		var failed error
		if err := l.queue.do(ctx, func(ctx context.Context) { _, failed = l.reach(ctx, g) }); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
	}
}

func (l *live) tryRead(g goal, head eventlog.Head, fn func(*state, eventlog.Head) error) (bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil || !g.met(l.state.pos) {
		return false, nil
	}
	return true, fn(l.state, head)
}

// failure turns an error of the log into one of this package.
func (l *live) failure(err error) error { return l.svc.failure(l.id, err) }

// lost reports whether err says that the log could not be asked, as opposed to what
// it answered.
func lost(err error) bool {
	return errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrNoSession) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// weight is the memory that the session takes, about.
func (l *live) weight() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil {
		return 0
	}
	const perByte = 2 // nodes with their maps, against their stored form
	return perByte*l.state.bytes + l.shown.size()
}
