package eventlog

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/wire"
)

// Count is what one edge says of one session.
type Count struct {
	Session uuid.UUID
	Clients int       // that the edge has; 0 removes its entry
	Client  uuid.UUID // who came or went since it said so last, if that was exactly one; else uuid.Nil
	Left    bool      // Client went
	Dead    []string  // edges whose entries go in the same step
	Swapped bool      // somebody came or went since it said so last: that is announced, be the sum the same or not
	Number  uint64    // about the time in ms, greater than in all that the edge said of the session before; 0: none is given
}

// Present is how many clients a session has.
type Present struct {
	Clients int            // over all edges, dead ones included whose entries nobody has removed yet
	Edges   map[string]int // the same by edge
	Seq     uint64         // of the newest announcement; 0: there was none
	Event   wire.EventName // what this call has announced; empty: nothing
	Named   bool           // the announcement names the one client
	Prev    uint64         // number of the announcement before that of this call
	Err     error          // ErrNoSession, ErrTorn or ErrUnavailable
}

// numberField is the field of a presence hash that holds the number of the newest announcement. Followed by an edge's id it holds
// the number of the newest that the edge said.
const numberField = "#"

// presenceBatch bounds how many sessions go into one pipeline.
const presenceBatch = 500

// Announce stores what an edge has in sessions and tells their channels where that changes a sum. It is safe to repeat, and
// what comes after something with a greater number is not carried out. The edge's lease must have begun before.
func (l *Log) Announce(ctx context.Context, edge string, counts []Count) []Present {
	now := time.Now()
	return l.eachPresence(ctx, presenceScript, len(counts), func(i int) ([]string, []any) {
		c := counts[i]
		k, who, by := keysOf(c.Session), "", 1
		if c.Client != uuid.Nil {
			who = `"` + c.Client.String() + `"`
		}
		if c.Left {
			by = -1
		}
		args := []any{edge, c.Clients, who, k.channel(),
			beginning(wire.SessionConnected, c.Session, now), beginning(wire.SessionDisconnected, c.Session, now), c.Number, c.Swapped, by}
		for _, dead := range c.Dead {
			args = append(args, dead)
		}
		return k.presences(), args
	})
}

// Drop removes a dead edge from sessions and tells the channels of those that it was in. However many edges do so at the same
// time, each session is told once.
func (l *Log) Drop(ctx context.Context, dead string, sessions []uuid.UUID) []Present {
	now := time.Now()
	return l.eachPresence(ctx, dropScript, len(sessions), func(i int) ([]string, []any) {
		k := keysOf(sessions[i])
		return k.presences(), []any{dead, k.channel(), beginning(wire.SessionDisconnected, sessions[i], now)}
	})
}

// SetClients is Announce for one session, without a name.
func (l *Log) SetClients(ctx context.Context, session uuid.UUID, edge string, n int) error {
	return l.subject(session, l.Announce(ctx, edge, []Count{{Session: session, Clients: n}})[0].Err)
}

// presences are the keys of the scripts that write presence.
func (k keys) presences() []string { return []string{k.head(), k.presence(), k.dead()} }

// beginning is an event's message up to the length of its fields, which are the message's end.
func beginning(name wire.EventName, session uuid.UUID, at time.Time) []byte {
	const length = 4
	whole := wire.AppendEphemeral(nil, wire.Ephemeral{Session: session, Name: name, Time: at.UnixMilli()})
	return whole[:len(whole)-length]
}

func (l *Log) eachPresence(ctx context.Context, s *redis.Script, n int, call func(int) ([]string, []any)) []Present {
	out := make([]Present, 0, n)
	for from := 0; from < n; from += presenceBatch {
		for _, cmd := range l.runMany(ctx, s, min(presenceBatch, n-from), func(i int) ([]string, []any) { return call(from + i) }) {
			out = append(out, parsePresent(cmd))
		}
	}
	return out
}

// parsePresent reads what the scripts answer.
func parsePresent(cmd *redis.Cmd) Present {
	answer, err := parseReply(cmd.Result())
	if err == nil {
		err = missingSession(answer.number(0))
	}
	if err != nil {
		return Present{Err: classify(err)}
	}
	p := Present{Clients: int(answer.number(1)), Seq: uint64(answer.number(2)), Named: answer.number(4) == 1, Prev: uint64(answer.number(5)), Edges: map[string]int{}}
	switch answer.number(3) {
	case 1:
		p.Event = wire.SessionConnected
	case 2:
		p.Event = wire.SessionDisconnected
	}
	for i := 6; i+1 < len(answer); i += 2 {
		p.Edges[answer.text(i)] = int(answer.number(i + 1))
	}
	return p
}

// Present reads how many clients sessions have. A session that does not exist has none.
func (l *Log) Present(ctx context.Context, sessions []uuid.UUID) ([]Present, error) {
	out := make([]Present, 0, len(sessions))
	for part := range slices.Chunk(sessions, presenceBatch) {
		cmds := make([]*redis.MapStringStringCmd, len(part))
		err := retry(ctx, func() error {
			p := l.rdb.Pipeline()
			for i, s := range part {
				cmds[i] = p.HGetAll(ctx, keysOf(s).presence())
			}
			_, err := p.Exec(ctx)
			return err
		})
		if err != nil && !errors.Is(err, ErrTorn) {
			return nil, err
		}
		for _, cmd := range cmds {
			p := Present{Edges: map[string]int{}, Err: classify(cmd.Err())}
			for edge, text := range cmd.Val() {
				n, _ := strconv.ParseUint(text, 10, 64) // only scripts write here
				switch {
				case edge == numberField:
					p.Seq = n
				case !strings.HasPrefix(edge, numberField):
					p.Edges[edge], p.Clients = int(n), p.Clients+int(n)
				}
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// Clients counts the clients of each session over the edges that are alive now. Sessions without clients are absent.
func (l *Log) Clients(ctx context.Context, sessions ...uuid.UUID) (map[uuid.UUID]int, error) {
	counts := make(map[uuid.UUID]int)
	if len(sessions) == 0 {
		return counts, nil
	}
	leases, err := l.Leases(ctx)
	if err != nil || len(leases.Living) == 0 {
		return counts, err
	}
	present, err := l.Present(ctx, sessions)
	if err != nil {
		return nil, err
	}
	for i, p := range present {
		for _, edge := range leases.Living {
			if n := p.Edges[edge]; n > 0 {
				counts[sessions[i]] += n
			}
		}
	}
	return counts, nil
}

func (l *Log) liveEdges(ctx context.Context) ([]string, error) {
	leases, err := l.Leases(ctx)
	return leases.Living, err
}
