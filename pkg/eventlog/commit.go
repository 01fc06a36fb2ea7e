package eventlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/wire"
)

// Commit is one accepted command, decided against Base and encoded as Record.
type Commit struct {
	Session    uuid.UUID
	Base       wire.Position
	Generation uint32 // the live generation of nodes at Base
	Record     wire.Record
	Delta      []byte
	Images     []wire.Image // net effect per node, each node once
	Count, Sum uint64       // of the nodes after the commit
	Meta       HeadChange
	Stack      StackOp
	Entry      Entry // for StackPush the new entry; for StackUndo and StackRedo the expected top with the payload for the other stack
	Key        *IdempotencyKey
	Staged     *Staged // replaces all nodes; Images must be empty then
	Silent     bool    // nothing is published
	AskTurn    bool    // if it comes too late, the next turn is this log's: others get a *TurnError until it has committed

	more, follows bool   // there is another commit of the same group behind it, before it
	token         uint64 // drawn for this commit: what is kept under its key is its own, or that of an equal one
}

// StackOp says what a commit does to undo and redo.
type StackOp int

// What a commit does to the stacks of its session.
const (
	StackNone  StackOp = iota // leaves them alone
	StackPush                 // a command: its entry goes on undo, redo is emptied
	StackUndo                 // an undo: the top of undo moves to redo
	StackRedo                 // a redo: the top of redo moves to undo
	StackClear                // a replaced graph: both are emptied
)

func (op StackOp) String() string {
	switch op {
	case StackPush:
		return "push"
	case StackUndo:
		return "undo"
	case StackRedo:
		return "redo"
	case StackClear:
		return "clear"
	default:
		return "none"
	}
}

// IdempotencyKey makes a repeat of a request find the first one's answer, for a day or the session's last 10,000 keys.
type IdempotencyKey struct {
	Key         string
	Fingerprint [16]byte // of the request; a repeat with another one is not a repeat
	Answer      []byte   // about 100 B: what cannot be read from the record
}

const (
	maxImages      = 20_000   // one script writes about 4 µs per node
	maxCommitBytes = 32 << 20 // and copies its arguments
)

// Commit appends one record, all of it or nothing, in one round trip. It returns
//   - a *ConflictError when another writer came first,
//   - a *TurnError when another writer has the turn: wait and try again,
//   - a *DuplicateError when the idempotency key was used before,
//   - ErrForked when Base is on a branch that Redis does not have,
//   - ErrStackMoved, ErrNoSession, ErrTorn, ErrTooLarge, ErrUnavailable when nothing was written,
//   - ErrStaged when the staged nodes expired,
//   - ErrUnknown when the answer was lost and could not be found out before the deadline.
//
// After an answer was lost it looks into the log and, while that shows Base, commits again: at most one takes effect, since
// both say the same and stand on the same base.
func (l *Log) Commit(ctx context.Context, c Commit) (wire.Position, error) {
	if err := c.check(); err != nil {
		return wire.Position{}, l.subject(c.Session, err)
	}
	l.listProject(ctx, c.Session, c.Meta)
	c.token = rand.Uint64()
	v, err := l.send(ctx, c)
	return l.settle(ctx, c, v, err)
}

// send runs the script once. A server that does not know it is sent its text.
func (l *Log) send(ctx context.Context, c Commit) (any, error) {
	defer l.turns.attempt(time.Now())
	alone := []Commit{c}
	cmd := l.command(ctx, alone, byHash)
	err := l.courier.carry(ctx, c.size(), 1, cmd)
	if err == nil && forgotten(cmd.Err()) {
		cmd = l.command(ctx, alone, byText)
		err = l.courier.carry(ctx, c.size(), 1, cmd)
	}
	if err != nil {
		return nil, err
	}
	return cmd.Result()
}

// size is what the commit takes to send, about.
func (c *Commit) size() int {
	size := len(c.Record.Raw) + len(c.Delta) + len(c.Entry.Payload)
	for i := range c.Images {
		size += len(c.Images[i].Bytes) + len(c.Images[i].Node)
	}
	return size
}

// check refuses what the script would only find out after it has begun to write.
func (c *Commit) check() error {
	size := c.size()
	switch {
	case c.Record.Session != c.Session:
		return fmt.Errorf("record belongs to session %s", c.Record.Session)
	case !c.Record.Follows(c.Base):
		return fmt.Errorf("record of version %d does not follow base %s", c.Record.Version, c.Base)
	case c.Staged != nil && len(c.Images) > 0:
		return fmt.Errorf("commit has staged nodes and %d images", len(c.Images))
	case c.Staged != nil && (c.Staged.Count != c.Count || c.Staged.Sum != c.Sum):
		return fmt.Errorf("commit counts %d nodes, %d are staged", c.Count, c.Staged.Count)
	case len(c.Images) > maxImages:
		return fmt.Errorf("%w: %d nodes", ErrTooLarge, len(c.Images))
	case size > maxCommitBytes:
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	}
	return nil
}

// append writes the stored form: the fingerprint, the token of the commit, the answer.
func (k *IdempotencyKey) append(dst []byte, token uint64) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, k.Fingerprint[:]...), token), k.Answer...)
}

func parseKeyed(stored string) *DuplicateError {
	d := &DuplicateError{}
	n := copy(d.Fingerprint[:], stored)
	if rest := []byte(stored[n:]); len(rest) >= 8 {
		d.token, d.Answer = binary.BigEndian.Uint64(rest), rest[8:]
	}
	return d
}
