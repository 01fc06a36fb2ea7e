package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// repeats holds back requests whose idempotency key is in use by another one, which
// they then repeat.
type repeats struct {
	mu    sync.Mutex
	inUse map[string]chan struct{} // closed when the first request is answered
}

// enter takes the key. If another request has it, enter waits for the end of that
// and reports false: the log knows what became of it.
func (r *repeats) enter(ctx context.Context, key string) (bool, error) {
	r.mu.Lock()
	ahead, ok := r.inUse[key]
	if !ok {
		if r.inUse == nil {
			r.inUse = make(map[string]chan struct{})
		}
		r.inUse[key] = make(chan struct{})
		r.mu.Unlock()
		return true, nil
	}
	r.mu.Unlock()
	select {
	case <-ahead:
		return false, nil
	case <-ctx.Done():
		return false, unavailable(context.Cause(ctx))
	}
}

// leave gives the key back.
func (r *repeats) leave(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.inUse[key])
	delete(r.inUse, key)
}

// replay completes the answer that was given before to the call's key.
func (l *live) replay(ctx context.Context, r *Result, call *Call, err error) (Result, error) {
	if err != nil {
		return Result{}, err
	}
	err = l.read(ctx, func(st *state, head eventlog.Head) error {
		r.Project = st.project
		*r = l.complete(*r, st, call)
		r.Dirty = dirty(head)
		return nil
	})
	if err == nil && call.WantEvents {
		r.Events = l.events(ctx, r.Position)
	}
	return *r, err
}

// events reads the events of a commit from the log; nil if it is not there any more.
func (l *live) events(ctx context.Context, at wire.Position) []wire.Event {
	tail, err := l.svc.deps.Log.Read(ctx, l.id, at.Version-1, 1)
	if err != nil || len(tail.Records) == 0 || tail.Records[0].Record.Position() != at {
		return nil
	}
	return collect(tail.Records[0].Record)
}

// derived is the id that a keyed request creates: the same for every repeat, and for
// nobody else's key.
func derived(purpose, actor, key string) uuid.UUID {
	h := sha256.New()
	for _, part := range []string{"talus", purpose, actor, key} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	id := uuid.UUID(h.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8: made up by its user (RFC 9562, section 5.8)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// The stored answer of a keyed request: format 1, flags 1, epoch 8, version 8,
// digest 8, command 16, created node 16, then the type and, of an undo or redo, the
// version, command, type and actor of what it acted on. Lengths are 16 bits. The
// nodes of a batch are not stored: their ids follow from the command's id.
const (
	answerFormat = 1

	answerUndo   = 1 << 0 // Result.UndoAvailable
	answerRedo   = 1 << 1 // Result.RedoAvailable
	answerUndone = 1 << 2 // Result.Undone
)

var errAnswer = errors.New("a stored answer cannot be read")

// appendAnswer appends what a repeat of the request must be told.
func appendAnswer(dst []byte, r *Result) []byte {
	flags := byte(0)
	if r.UndoAvailable {
		flags |= answerUndo
	}
	if r.RedoAvailable {
		flags |= answerRedo
	}
	if r.Undone != nil {
		flags |= answerUndone
	}
	dst = append(dst, answerFormat, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Position.Epoch))
	dst = binary.BigEndian.AppendUint64(dst, r.Position.Version)
	dst = append(append(append(dst, r.Position.Digest[:]...), r.Command[:]...), r.Node[:]...)
	dst = appendShort(dst, r.Type)
	if u := r.Undone; u != nil {
		dst = append(binary.BigEndian.AppendUint64(dst, u.Version), u.Command[:]...)
		dst = appendShort(appendShort(dst, u.Type), u.Actor)
	}
	return dst
}

func appendShort(dst []byte, text string) []byte {
	text = text[:min(len(text), 1<<16-1)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(text))), text...)
}

// parseAnswer is the inverse of appendAnswer.
func parseAnswer(b []byte) (Result, error) {
	c := answerReader{b: b}
	if c.take(1)[0] != answerFormat {
		return Result{}, errAnswer
	}
	flags := c.take(1)[0]
	r := Result{
		Position: wire.Position{
			Epoch:   wire.Epoch(binary.BigEndian.Uint64(c.take(8))),
			Version: binary.BigEndian.Uint64(c.take(8)),
			Digest:  wire.Digest(c.take(8)),
		},
		Command: uuid.UUID(c.take(16)), Node: uuid.UUID(c.take(16)), Type: c.short(), Dirty: true, Replayed: true,
		UndoAvailable: flags&answerUndo != 0, RedoAvailable: flags&answerRedo != 0,
	}
	if flags&answerUndone != 0 {
		r.Undone = &Undone{Version: binary.BigEndian.Uint64(c.take(8)), Command: uuid.UUID(c.take(16)), Type: c.short(), Actor: c.short()}
	}
	if c.failed || len(c.b) > 0 {
		return Result{}, errAnswer
	}
	return r, nil
}

// answerReader takes values off the front of a stored answer; after the first that
// is not there it gives zeros.
type answerReader struct {
	b      []byte
	failed bool
}

func (c *answerReader) take(n int) []byte {
	if n > len(c.b) {
		c.failed, c.b = true, nil
		return make([]byte, n)
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *answerReader) short() string {
	return string(c.take(int(binary.BigEndian.Uint16(c.take(2)))))
}
