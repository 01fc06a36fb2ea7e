package hub

import "sync/atomic"

// The topics of states.
const (
	StatusTopic   uint8 = iota // whether what clients see may be old
	PresenceTopic              // who is there
	EventTopic                 // other events without a version, of which a room keeps the last few: none replaces another
	Topics                     // how many there are
)

// keptEvents is how many events of EventTopic a room keeps for clients that could not take them when they came.
const keptEvents = 64

// State says what a frame without a version tells; of two with the same topic the one with the greater number is newer and
// replaces the other, but for events. Number 0 is for a frame that nobody keeps.
type State struct {
	Topic  uint8
	Number uint64
}

// told is a state as frames. It never changes.
type told struct {
	frame  texts
	number uint64
	in     maker

	before  uint64 // number of the one before
	several maker  // what it is for who missed that one, too; nil: the same
}

// after is the state in a format for who knows the one of a number.
func (t *told) after(known uint64, as Format) []byte {
	if known == t.before || t.several == nil {
		return t.frame[as]
	}
	return t.several(as)
}

// happen hands out an event without a version, and keeps it for those who are not up to date.
func (r *Room) happen(in maker) {
	r.happened++
	e := &told{frame: r.made(in), number: r.happened, in: in}
	kept := []*told{}
	if events := r.events.Load(); events != nil {
		kept = append(kept, (*events)[max(0, len(*events)-keptEvents+1):]...)
	}
	kept = append(kept, e)
	r.events.Store(&kept)
	r.broadcast(e.frame, State{Topic: EventTopic, Number: e.number}, func(*Subscription) bool { return true })
}

// open gives the room's states a text in a format that was not read so far. Events that came before are for nobody who reads it.
func (r *Room) open(as Format) {
	for _, state := range []*atomic.Pointer[told]{&r.status, &r.presence} {
		if old := state.Load(); old != nil {
			full := *old
			full.frame[as] = old.in(as)
			state.Store(&full)
		}
	}
}

// Latest are the frames of the room's states that are newer than what a client was told, by topic, in its format, and what it
// has been told with them. Nobody is told about others before it was told about itself.
func (s *Subscription) Latest(since [Topics]uint64) ([]byte, [Topics]uint64) {
	if s.room == nil {
		return nil, since
	}
	var latest []byte
	add := func(topic uint8, newest *told, known uint64) {
		if newest != nil && newest.number > known {
			latest = append(latest[:len(latest):len(latest)], newest.after(known, s.format)...)
			since[topic] = newest.number
		}
	}
	if events := s.room.events.Load(); events != nil {
		for _, e := range *events {
			add(EventTopic, e, max(since[EventTopic], s.events))
		}
	}
	add(StatusTopic, s.room.status.Load(), max(since[StatusTopic], s.status))
	if !s.counted || since[PresenceTopic] > 0 {
		add(PresenceTopic, s.room.presence.Load(), since[PresenceTopic])
	}
	return latest, since
}
