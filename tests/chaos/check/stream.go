package check

import (
	"fmt"
	"strings"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// streams judges what connections saw, line by line.
type streams struct {
	*run
	subs    map[string]*sub // by connection and session
	clients map[string]*client
	lags    *lags
}

// sub is one session on one connection.
type sub struct {
	session *session
	client  *client
	line    int // the last
	pos     wire.Position
	after   wire.Position // what it asked to go on from, if that was refused
	ended   bool
	owed    bool // it did not resume, and was not told why yet
	news    announcements
}

func newStreams(r *run) *streams {
	return &streams{run: r, subs: map[string]*sub{}, clients: map[string]*client{}, lags: newLags(r)}
}

func (st *streams) take(number int, l *history.Line) {
	if l.Canary != "" {
		st.isolation(number, l)
	}
	switch l.F {
	case history.Sub, history.Recv, history.Resync, history.Disc:
		st.stream(number, l)
	case history.Presence:
		st.presence(number, l)
	case history.Rest:
		st.rest(number, l)
	case history.Frame:
		if l.Error != "" {
			st.violates(Isolation, at(number), "connection %s: %s", l.Conn, l.Error)
		}
	}
}

// isolation wants all canaries in the bytes to be the session's own (C8).
func (st *streams) isolation(number int, l *history.Line) {
	if l.F == history.Session {
		return
	}
	st.looked(Isolation)
	s := st.sessions[l.Session]
	for canary := range strings.SplitSeq(l.Canary, ",") {
		if s == nil || s.canary != canary {
			whose := "nobody"
			for id, other := range st.sessions {
				if other.canary == canary {
					whose = "session " + id
				}
			}
			st.violates(Isolation, at(number), "what %s%s got of session %s contains the canary %s of %s", l.Conn, l.Client, l.Session, canary, whose)
		}
	}
}

func (st *streams) stream(number int, l *history.Line) {
	key := l.Conn + " " + l.Session
	s := st.sessions[l.Session]
	b := st.subs[key]
	if l.F == history.Sub {
		if b != nil {
			st.close(b, l.T)
		}
		if s == nil {
			st.violates(Stream, at(number), "connection %s joined session %s, which is none of the run", l.Conn, l.Session)
			return
		}
		st.subs[key] = st.join(number, l, s)
		return
	}
	if b == nil {
		if l.F != history.Disc {
			st.violates(Isolation, at(number), "connection %s got a %s of session %s, which it never joined", l.Conn, l.F, l.Session)
		}
		return
	}
	if l.F != history.Disc && b.ended {
		st.violates(Stream, at(b.line, number), "connection %s got a %s of session %s after it had left", l.Conn, l.F, l.Session)
		return
	}
	st.stays(b, number, l.T)
	switch l.F {
	case history.Recv:
		st.received++
		st.recv(b, number, l)
	case history.Resync:
		st.resync(b, number, l)
	case history.Disc:
		b.ended = true
		b.client.gone = b.client.gone || l.Reason == history.SentAway
	}
	b.line = number
}

// join begins a subscription.
func (st *streams) join(number int, l *history.Line, s *session) *sub {
	b := &sub{session: s, client: st.client(l), line: number}
	pos, err := wire.ParsePosition(l.Position)
	if err != nil {
		st.violates(Stream, at(number), "connection %s joined session %s at no position: %q", l.Conn, s.id, l.Position)
	}
	b.pos = pos
	after, err := wire.ParsePosition(l.After)
	switch {
	case l.After == "":
		if l.Resumed {
			st.violates(Stream, at(number), "connection %s asked for nothing and was resumed", l.Conn)
		}
	case err != nil:
		st.violates(Stream, at(number), "connection %s asked to go on from %q, which is no position", l.Conn, l.After)
	case !l.Resumed:
		b.owed, b.after = true, after
	default:
		b.pos = after
		if pos.Epoch != after.Epoch || pos.Version < after.Version {
			st.violates(Stream, at(number), "connection %s was resumed from %v on a session that is at %v", l.Conn, after, pos)
		}
	}
	if !l.Resumed {
		b.client.reach(pos, l.T)
	}
	return b
}

// recv judges one commit: its place in the stream (C6) and its content (C7).
func (st *streams) recv(b *sub, number int, l *history.Line) {
	st.looked(Stream)
	pos, err := wire.ParsePosition(l.Position)
	if err != nil {
		st.violates(Content, at(number), "connection %s got a commit without a position: %q", l.Conn, l.Position)
		return
	}
	switch {
	case b.owed:
		st.violates(Stream, at(b.line, number), "connection %s was not resumed, and no resync said why", l.Conn)
		b.owed = false
	case pos.Epoch != b.pos.Epoch || pos.Version != b.pos.Version+1 || l.Prev != b.pos.Digest.String():
		st.violates(Stream, at(b.line, number), "connection %s stood at %v and got %v after %s: %s", l.Conn, b.pos, pos, l.Prev, stride(b.pos, pos))
	}
	b.pos = pos
	st.content(b, number, l, pos)
	b.client.reach(pos, l.T)
}

func stride(from, to wire.Position) string {
	switch {
	case to.Epoch != from.Epoch:
		return "another epoch"
	case to.Version <= from.Version:
		return "seen before, or out of order"
	case to.Version > from.Version+1:
		return fmt.Sprintf("%d missing", to.Version-from.Version-1)
	default:
		return "another branch"
	}
}

// content compares a commit with the log (C7), and the client's graph after it with the log's (C9).
func (st *streams) content(b *sub, number int, l *history.Line, pos wire.Position) {
	s := b.session
	i, ok := s.index(pos.Version)
	if !ok || s.log[i].pos != pos {
		excused := !ok && s.has(pos) || s.missing != "" || s.lostBefore(l.T-int64(st.cfg.Current)) // C17 sees to the last
		if !excused {
			st.violates(Content, at(number), "connection %s got %v, which is not in the log of session %s", l.Conn, pos, s.id)
		}
		return
	}
	e := &s.log[i]
	st.looked(Content)
	s.show(i, number, l.T)
	if e.payload != l.Payload {
		st.violates(Content, at(e.line, number), "connection %s got other bytes as version %d of session %s than the log has", l.Conn, pos.Version, s.id)
	}
	if l.Error != "" {
		st.violates(Convergence, at(e.line, number), "client %s cannot follow version %d of session %s: %s", l.Client, pos.Version, s.id, l.Error)
	}
	if l.Hash != "" && e.hash != "" {
		st.looked(Convergence)
		if l.Hash != e.hash {
			st.violates(Convergence, at(e.line, number), "client %s has graph %s at version %d of session %s, the log gives %s: this is the first that differs here",
				l.Client, l.Hash, pos.Version, s.id, e.hash)
		}
	}
	st.lags.delivered(s, e, l.T)
}

// resync judges the explicit break of a stream (C6).
func (st *streams) resync(b *sub, number int, l *history.Line) {
	st.looked(Stream)
	pos, err := wire.ParsePosition(l.Position)
	s := b.session
	switch {
	case err != nil || l.Reason == "":
		st.violates(Stream, at(number), "connection %s was told to resync to %q for the reason %q", l.Conn, l.Position, l.Reason)
	case pos.Epoch == b.pos.Epoch && pos.Version < b.pos.Version && l.Reason != "fork" && l.Reason != "ahead":
		st.violates(Stream, at(b.line, number), "connection %s was sent back from version %d to %d as %s", l.Conn, b.pos.Version, pos.Version, l.Reason)
	case (l.Reason == "fork" || l.Reason == "ahead" || l.Reason == "epoch") && s.loss < 0:
		st.violates(Stream, at(b.line, number), "connection %s was told %s, and no data was lost", l.Conn, l.Reason)
	case l.Reason == "trimmed" && s.oldest > 0 && s.oldest <= b.asked()+1:
		st.violates(Stream, at(b.line, number), "connection %s was told that version %d was trimmed, and the log still has it", l.Conn, b.asked()+1)
	case l.Reason == "unproven":
		st.violates(Stream, at(b.line, number), "connection %s named a position and was told that it proves nothing", l.Conn)
	}
	b.owed = false
	b.pos = pos
	b.client.reach(pos, l.T)
}

// asked is the version from which the subscription wanted to go on.
func (b *sub) asked() uint64 {
	if b.owed {
		return b.after.Version
	}
	return b.pos.Version
}

// stays finds connections that are still on a dead branch when something happens to them (C17).
func (st *streams) stays(b *sub, number int, t int64) {
	s := b.session
	if s.loss < 0 || b.ended || t <= s.loss+int64(st.cfg.Current) || b.pos.Version == 0 || b.owed {
		return
	}
	st.looked(ForkEvidence)
	if !s.has(b.pos) && s.missing == "" {
		st.violates(ForkEvidence, at(b.line, number), "client %s was at %v, which did not survive, for longer than %v", b.client.name, b.pos, st.cfg.Current)
	}
}

// close ends a subscription that the history does not end.
func (st *streams) close(b *sub, t int64) {
	if !b.ended {
		st.stays(b, 0, t)
		b.ended = true
	}
}

// end judges what is left at the end of the history.
func (st *streams) end() {
	for _, b := range st.subs {
		st.close(b, st.last)
	}
	st.current()
}
