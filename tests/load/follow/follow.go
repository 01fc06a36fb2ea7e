// Package follow checks streams of commits while they are measured, in all dialects that edges speak.
//
// It promises that a follower accepts exactly the commits that api.md, part 8, lets a client accept: each version is
// the one before plus one, its prev is the digest before, and all followers of a session see the same bytes. The first
// follower that sees a version reads it; the others compare their bytes with the reference, which costs a memory
// comparison instead of a parser, so that the check does not distort what is measured. It does no I/O and has no clock.
package follow

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Reasons for which a stream is wrong.
var (
	ErrGap    = errors.New("a version does not follow the one before")
	ErrChain  = errors.New("prev is not the digest of the version before")
	ErrDiffer = errors.New("two clients see different bytes of one version")
	ErrResync = errors.New("the server asked for a resync")
	ErrGarble = errors.New("the stream cannot be read")
)

// Marker begins the new value of a property that carries the moment, in Unix nanoseconds, at which its command was due.
const Marker = `"new_value":"t=`

// Room holds the reference commits of one session in one dialect. It is not safe for concurrent use.
type Room struct {
	Session string
	Dialect Dialect

	// Head is the version from which clients that are told no position go on: the session's, as they come. 0 takes the
	// first commit that they see.
	Head uint64

	epoch string
	ring  []commit
}

// commit is a version as the first follower saw it.
type commit struct {
	version uint64
	prev    uint64
	digest  uint64
	due     int64 // when its command was due, 0 if it does not say
	pieces  [][]byte
	whole   bool // all pieces of it are known
}

// NewRoom makes a room that remembers the newest depth versions.
func NewRoom(session string, d Dialect, depth int) *Room {
	return &Room{Session: session, Dialect: d, ring: make([]commit, depth)}
}

func (r *Room) slot(version uint64) *commit { return &r.ring[version%uint64(len(r.ring))] }

// Sink hears what a follower finds.
type Sink interface {
	// Joined is called when the server has taken the client in.
	Joined(resumed bool)
	// Commit is called with each whole version, and when its command was due (0: unknown).
	Commit(version uint64, due int64)
	// Answer asks for bytes to be sent to the server.
	Answer(b []byte)
	// Farewell is called when the server says that it ends the stream, with the close code.
	Farewell(code int)
}

// Follower is one client's place in a room. The zero value has not joined.
type Follower struct {
	version uint64
	digest  uint64
	piece   int // pieces of version+1 that were seen
	joined  bool
	fresh   bool // joined without a position, and has seen no commit since
}

// Version is the newest version that was seen whole.
func (f *Follower) Version() uint64 { return f.version }

// Joined reports whether the server has taken the client in since Away.
func (f *Follower) Joined() bool { return f.joined }

// Away notes that the connection was lost: the next one resumes. What was seen of an unfinished version is forgotten.
func (f *Follower) Away() { f.joined, f.piece = false, 0 }

// Position is what the client comes back with; empty if it has nothing yet, or cannot resume.
func (f *Follower) Position(r *Room) string {
	if f.version == 0 || !r.Dialect.Chained() {
		return ""
	}
	return fmt.Sprintf("%s.%d.%016x", r.epoch, f.version, f.digest)
}

// Take reads the complete pieces at the front of b and returns how many bytes they have. The error wraps one of the
// reasons above; the stream is then useless.
func (f *Follower) Take(r *Room, b []byte, to Sink) (int, error) {
	used := 0
	for used < len(b) {
		if n := f.again(r, b[used:], to); n > 0 {
			used += n
			continue
		}
		p, err := r.Dialect.Next(r.Session, b[used:])
		if err != nil {
			return used, fmt.Errorf("%w: %w", ErrGarble, err)
		}
		if p.Size == 0 {
			return used, nil
		}
		if err := f.piecewise(r, p, b[used:used+p.Size], to); err != nil {
			return used, err
		}
		used += p.Size
	}
	return used, nil
}

// again takes a piece that another follower has read already. It returns its size, 0 if b begins otherwise.
func (f *Follower) again(r *Room, b []byte, to Sink) int {
	c := r.slot(f.version + 1)
	if !f.joined || c.version != f.version+1 || f.piece >= len(c.pieces) || c.prev != f.digest {
		return 0
	}
	known := c.pieces[f.piece]
	if len(b) < len(known) || !bytes.Equal(b[:len(known)], known) {
		return 0
	}
	if f.piece++; c.whole && f.piece == len(c.pieces) {
		f.advance(c, to)
	}
	return len(known)
}

func (f *Follower) advance(c *commit, to Sink) {
	f.version, f.digest, f.piece, f.fresh = c.version, c.digest, 0, false
	to.Commit(c.version, c.due)
}

// piecewise takes a piece that was not seen before in this place.
func (f *Follower) piecewise(r *Room, p Piece, raw []byte, to Sink) error {
	switch p.Kind {
	case Commit:
		return f.first(r, p, raw, to)
	case Joined:
		return f.begin(r, p.Text, to)
	case Resync:
		return fmt.Errorf("%w: %.300s", ErrResync, p.Text)
	case Answer:
		to.Answer(p.Text)
	case Farewell:
		to.Farewell(p.Code)
	}
	return nil
}

// begin notes where the stream starts.
func (f *Follower) begin(r *Room, text []byte, to Sink) error {
	if !r.Dialect.Chained() {
		f.version, f.piece, f.joined, f.fresh = r.Head, 0, true, true
		to.Joined(false)
		return nil
	}
	resumed := bytes.Contains(text, []byte(`"resumed":true`))
	at, err := positionOf(text)
	if err != nil {
		return err
	}
	if r.epoch == "" {
		r.epoch = at.epoch
	}
	switch {
	case at.epoch != r.epoch:
		return fmt.Errorf("%w: epoch %s after %s", ErrGap, at.epoch, r.epoch)
	case f.version != 0 && (!resumed || at.version != f.version || at.digest != f.digest):
		return fmt.Errorf("%w: came back with version %d and was put at %d", ErrGap, f.version, at.version)
	}
	f.version, f.digest, f.joined = at.version, at.digest, true
	to.Joined(resumed)
	return nil
}

// first reads a piece of a commit and makes it the reference for others.
func (f *Follower) first(r *Room, p Piece, raw []byte, to Sink) error {
	at, prev, err := header(p.Text)
	if f.fresh && f.version == 0 && err == nil {
		f.version = at.version - 1
		if f.again(r, raw, to) > 0 {
			return nil
		}
	}
	switch {
	case err != nil:
		return err
	case f.fresh && at.version <= f.version: // it was in the graph that the client has
		return nil
	case !f.joined || at.version != f.version+1:
		return fmt.Errorf("%w: %d after %d", ErrGap, at.version, f.version)
	case prev != f.digest && r.Dialect.Chained():
		return fmt.Errorf("%w: %016x at version %d, want %016x", ErrChain, prev, at.version, f.digest)
	}
	c := r.slot(at.version)
	if c.version == at.version && f.piece < len(c.pieces) {
		return fmt.Errorf("%w: %d: %.200q and %.200q", ErrDiffer, at.version, c.pieces[f.piece], raw)
	}
	if c.version != at.version {
		*c = commit{version: at.version, prev: f.digest, digest: at.digest, pieces: c.pieces[:0]}
	}
	c.pieces = append(c.pieces, bytes.Clone(raw))
	if due := dueOf(p.Text); due != 0 {
		c.due = due
	}
	f.piece++
	if c.whole = p.Last; c.whole {
		f.advance(c, to)
	}
	return nil
}

// position is a place in a session's history.
type position struct {
	epoch   string
	version uint64
	digest  uint64
}

// positionOf reads the position out of a frame.
func positionOf(text []byte) (position, error) {
	value, ok := member(text, `"position":"`)
	parts := bytes.SplitN(value, []byte("."), 3)
	if !ok || len(parts) != 3 {
		return position{}, fmt.Errorf("%w: no position in %.200q", ErrGarble, text)
	}
	version, err := strconv.ParseUint(string(parts[1]), 10, 64)
	if err != nil {
		return position{}, fmt.Errorf("%w: %w", ErrGarble, err)
	}
	digest, err := strconv.ParseUint(string(parts[2]), 16, 64)
	if err != nil {
		return position{}, fmt.Errorf("%w: %w", ErrGarble, err)
	}
	return position{string(parts[0]), version, digest}, nil
}

// header reads what chains a commit to the one before. Dialects that carry no position give a version only.
func header(text []byte) (at position, prev uint64, err error) {
	if value, ok := member(text, `"prev":"`); ok {
		if prev, err = strconv.ParseUint(string(value), 16, 64); err != nil {
			return at, 0, fmt.Errorf("%w: %w", ErrGarble, err)
		}
		at, err = positionOf(text)
		return at, prev, err
	}
	value, ok := number(text, `"version":`)
	if !ok {
		return at, 0, fmt.Errorf("%w: no version in %.200q", ErrGarble, text)
	}
	return position{version: value}, 0, nil
}

// member is the text value that follows a key, which includes the opening quote.
func member(text []byte, key string) ([]byte, bool) {
	i := bytes.Index(text, []byte(key))
	if i < 0 {
		return nil, false
	}
	value := text[i+len(key):]
	end := bytes.IndexByte(value, '"')
	if end < 0 {
		return nil, false
	}
	return value[:end], true
}

// number is the unsigned number that follows a key.
func number(text []byte, key string) (n uint64, ok bool) {
	i := bytes.Index(text, []byte(key))
	if i < 0 {
		return 0, false
	}
	for _, digit := range text[i+len(key):] {
		if digit < '0' || digit > '9' {
			break
		}
		n, ok = n*10+uint64(digit-'0'), true
	}
	return n, ok
}

// dueOf is the moment that a changed property carries.
func dueOf(text []byte) int64 {
	due, _ := number(text, Marker)
	return int64(due)
}
