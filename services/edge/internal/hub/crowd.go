package hub

import (
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/planted"
	"github.com/talus-tally/talus/pkg/wire"
)

// Presence counts clients over all edges; *presence.Presence is one.
type Presence interface {
	// Open begins to count the clients of a session here. Tell is called first with who is there, as soon as that is known
	// or cannot be known, and then with what is newer. It must not block.
	Open(session uuid.UUID, tell func(News)) Counter
}

// Counter counts the clients that one room has. Its methods do not block.
type Counter interface {
	// Enter counts one more client and returns its ticket, greater than all before and than 0, and how many clients the
	// session has with it, as far as is known here.
	Enter(client uuid.UUID) (ticket uint64, clients int)
	// Leave counts one client less.
	Leave(client uuid.UUID)
	// Heard takes an announcement of the session's channel, in any order.
	Heard(who wire.Presence)
	// Close ends the counting; clients that have not left are gone.
	Close()
}

// News is what presence has learned of a session.
type News struct {
	Event   wire.EventName // empty: nobody came or went
	Who     wire.Presence  // Seq 0: nobody was ever there, or that cannot be known now
	Counted uint64         // the clients whose tickets are up to this are in Who.Count
}

// crowd is what a room knows of the clients of its session on all edges. It is owned by the room's goroutine.
type crowd struct {
	session Counter         // nil: not asked yet, or nobody counts
	known   bool            // it has told who is there
	who     wire.Presence   // of the newest announcement
	owed    []*Subscription // who was not told about itself yet, in the order of their tickets
}

// count asks who is in the session. Joins wait for the answer, so that each is told how many there are.
func (r *Room) count() {
	if r.hub.cfg.Presence == nil || r.crowd.session != nil {
		return
	}
	r.crowd.session = r.hub.cfg.Presence.Open(r.session, func(n News) {
		r.do(func() { r.told(n) })
	})
}

// counted reports whether joins need not wait for that.
func (r *Room) counted() bool { return r.crowd.session == nil || r.crowd.known }

// enter counts a client and returns how many there are with it.
func (r *Room) enter(s *Subscription) int {
	if r.crowd.session == nil {
		return len(r.subs)
	}
	ticket, clients := r.crowd.session.Enter(s.client.ID())
	s.ticket = ticket
	r.crowd.owed = append(r.crowd.owed, s)
	return clients
}

// exit counts a client out.
func (r *Room) exit(s *Subscription) {
	if r.crowd.session != nil && !planted.Is(planted.GhostClients) {
		r.crowd.session.Leave(s.client.ID())
	}
}

// uncount ends the counting; what clients are still there are gone.
func (r *Room) uncount() {
	if r.crowd.session != nil {
		r.crowd.session.Close()
	}
	r.crowd = crowd{}
}

// told takes what presence has learned from the store: news that the channel may have lost, and who is counted now.
func (r *Room) told(n News) {
	if r.crowd.session == nil {
		return
	}
	r.crowd.known = true
	switch {
	case n.Event != "":
		r.present(wire.Ephemeral{
			Session: r.session, Name: n.Event, Time: time.Now().UnixMilli(), Fields: wire.AppendPresence(nil, n.Who),
		}, n.Who)
	case n.Who.Seq > r.crowd.who.Seq:
		r.crowd.who = n.Who
	}
	r.greet(n.Counted)
}

// receivePresence takes an announcement of the channel.
func (r *Room) receivePresence(e wire.Ephemeral) {
	who, err := wire.ParsePresence(e.Fields)
	if err != nil {
		r.reject("malformed", err)
		return
	}
	if r.crowd.session != nil {
		r.crowd.session.Heard(who)
	}
	r.present(e, who)
}

// present hands the newest announcement to all who were told about themselves; the others are told with their own. An older
// one is dropped, and one that does not follow the last stands for several: it names nobody.
func (r *Room) present(e wire.Ephemeral, who wire.Presence) {
	if who.Seq <= r.crowd.who.Seq {
		r.hub.metrics.dropped.WithLabelValues("old_presence").Inc()
		return
	}
	last := r.crowd.who.Seq
	several := e
	several.Fields = wire.AppendPresence(nil, wire.Presence{Count: who.Count, Seq: who.Seq})
	if who.Prev != last {
		who.Client, e = uuid.Nil, several
	}
	r.crowd.who = who
	in := event(e)
	frame := r.made(in)
	r.presence.Store(&told{frame: frame, number: who.Seq, in: in, before: last, several: event(several)})
	r.broadcast(frame, State{Topic: PresenceTopic, Number: who.Seq}, func(s *Subscription) bool { return s.ticket == 0 })
}

// broadcast hands an event to the clients that match, after the commits that came before it.
func (r *Room) broadcast(frame texts, state State, to func(*Subscription) bool) {
	r.announce()
	r.spread(func(s *Subscription) {
		if to(s) {
			s.client.Event(frame[s.format], state)
		}
	})
	r.hub.metrics.events.Inc()
}

// greet tells the clients that are counted now about themselves, with the newest count.
func (r *Room) greet(counted uint64) {
	owed := r.crowd.owed
	for len(owed) > 0 && owed[0].ticket <= counted {
		if s := owed[0]; s.index > 0 {
			s.ticket = 0
			s.client.Own(r.own(s), State{Topic: PresenceTopic, Number: max(r.crowd.who.Seq, 1)})
		}
		owed[0] = nil
		owed = owed[1:]
	}
	r.crowd.owed = owed
}

// own is the newest announcement as that of one client.
func (r *Room) own(s *Subscription) []byte {
	client := s.client.ID()
	if newest := r.presence.Load(); newest != nil && r.crowd.who.Client == client {
		return newest.frame[s.format]
	}
	who := wire.Presence{Client: client, Count: r.crowd.who.Count, Seq: r.crowd.who.Seq}
	return event(wire.Ephemeral{
		Session: r.session, Name: wire.SessionConnected, Time: time.Now().UnixMilli(), Fields: wire.AppendPresence(nil, who),
	})(s.format)
}

// Clients is how many clients the session has by the newest announcement. It is for the methods of the subscription's own
// client, but for Ended.
func (s *Subscription) Clients() int { return int(s.room.crowd.who.Count) }
