package fault

import (
	"fmt"
	"strings"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// mended is a heal, and who had to become current after it.
type mended struct {
	at      int64
	heads   map[string]uint64 // by session: the newest version that was acknowledged or seen by then
	waiting map[string]uint64 // by client: the version that it had not reached
	last    int64             // when the last of them did
}

// times reads from a history how long after each heal the last client was current (negative: one never was), and which
// connections ended while something was broken although nobody wanted that.
func times(h history.Source) (current []time.Duration, ended []string, err error) {
	var heals []*mended
	heads := map[string]uint64{}   // by session
	clients := map[string]uint64{} // by client and session
	broken := false
	for _, e := range h.Lines() {
		if e.Err != nil {
			return nil, nil, e.Err
		}
		l := e.Line
		switch l.F {
		case history.Mark:
			switch l.Mark {
			case history.FaultBegin:
				broken = true
			case history.Heal:
				broken = false
				heals = append(heals, newMended(l.T, heads, clients))
			case history.Loss:
				clear(heads)
			}
		case history.Sub, history.Recv, history.Resync:
			arrive(l, clients, heals)
		case history.Disc:
			if l.Reason == history.SentAway {
				delete(clients, l.Client+" "+l.Session)
				for _, m := range heals {
					delete(m.waiting, l.Client+" "+l.Session)
				}
			} else if broken && !wanted(l) {
				ended = append(ended, fmt.Sprintf("%s: %d %s", l.Conn, l.Status, l.Text))
			}
		default:
			if p, perr := wire.ParsePosition(l.Position); perr == nil && l.Kind == history.OK {
				heads[l.Session] = max(heads[l.Session], p.Version)
			}
		}
	}
	for _, m := range heals {
		took := time.Duration(m.last - m.at)
		if len(m.waiting) > 0 {
			took = -1
		}
		current = append(current, took)
	}
	return current, ended, nil
}

func newMended(t int64, heads, clients map[string]uint64) *mended {
	m := &mended{at: t, last: t, waiting: map[string]uint64{}}
	for client, version := range clients {
		_, session, _ := strings.Cut(client, " ")
		if head := heads[session]; version < head {
			m.waiting[client] = head
		}
	}
	return m
}

// arrive notes that a client has a version.
func arrive(l *history.Line, clients map[string]uint64, heals []*mended) {
	p, err := wire.ParsePosition(l.Position)
	if err != nil || l.F == history.Sub && l.Resumed {
		return // what a resumed client has it has heard before
	}
	client := l.Client + " " + l.Session
	clients[client] = p.Version
	for _, m := range heals {
		if want, ok := m.waiting[client]; ok && p.Version >= want {
			delete(m.waiting, client)
			m.last = max(m.last, l.T)
		}
	}
}

// wanted reports whether a connection ended because its client wanted that.
func wanted(l *history.Line) bool {
	const own = 1000 // normal closure, which only clients ask for
	return l.Status == own || strings.Contains(l.Text, "use of closed network connection") || strings.Contains(l.Text, "context canceled")
}
