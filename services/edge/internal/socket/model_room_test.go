package socket_test

import "github.com/talus-tally/talus/services/edge/internal/socket"

// modelRoom is a room: a ring, a log, and the rule that all it does to a connection is done by one actor.
type modelRoom struct {
	w      *world
	id     byte
	ring   [][]byte
	ringAt []uint64
	log    [][]byte
	head   uint64
	state  []byte
	states uint64 // number of the state
	slot   socket.Slot
	joined bool
}

func (r *modelRoom) Head() uint64 {
	r.w.pause()
	h := r.head
	r.w.pause()
	return h
}

func (r *modelRoom) Frame(v uint64) []byte {
	r.w.pause()
	if i := v % uint64(len(r.ring)); r.ringAt[i] == v {
		return r.ring[i]
	}
	return nil
}

func (r *modelRoom) Latest(told socket.Told) ([]byte, socket.Told) {
	r.w.pause()
	if told[1] >= r.states {
		return nil, told
	}
	return r.state, socket.Told{1: r.states}
}

func (r *modelRoom) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	r.w.pause()
	r.w.asked = append(r.w.asked, func() {
		first := after + 1
		if first > 1 && r.w.rnd.IntN(4) == 0 {
			first-- // one that the slot has already
		}
		frames := r.log[first-1:]
		frames = frames[:r.w.rnd.IntN(len(frames)+1)]
		c.Supply(slot, first, frames)
	})
}

// A frame of the model: its length, who it is of, what it is, a number, padding of its number.
func modelFrame(length int, of, what byte, number int) []byte {
	f := []byte{byte(length), of, what, byte(number)}
	for len(f) < length {
		f = append(f, byte(number))
	}
	return f
}

// act is the room's life: commits, ephemeral frames, joins and leaves in an order of chance; at the end it is joined.
func (r *modelRoom) act(steps int) {
	for i := range steps {
		r.w.pause()
		switch k := r.w.rnd.IntN(10); {
		case k < 6:
			r.commit()
		case k < 8:
			r.state, r.states = modelFrame(4+r.w.rnd.IntN(3), r.id, 'e', i), uint64(i+1)
			r.w.pause()
			if r.joined {
				r.w.conn.Ephemeral(r.slot, r.state, socket.State{Topic: 1, Number: r.states})
			}
		default:
			r.toggle()
		}
	}
	if !r.joined {
		r.toggle()
	}
}

func (r *modelRoom) commit() {
	r.head++
	f := modelFrame(4+r.w.rnd.IntN(3), r.id, 'r', int(r.head))
	r.log = append(r.log, f)
	i := r.head % uint64(len(r.ring))
	r.ring[i], r.ringAt[i] = f, r.head
	r.w.pause()
	if r.joined {
		r.w.conn.Deliver(r.slot, r.head, f)
	}
}

func (r *modelRoom) toggle() {
	if r.joined {
		r.joined = false
		r.w.conn.Detach(r.slot, modelFrame(4, r.id, 'l', 0))
		return
	}
	after := r.head - uint64(r.w.rnd.IntN(int(min(r.head, 3))+1))
	slot, err := r.w.conn.Attach(r, after, modelFrame(4, r.id, 'j', int(after)))
	if err == nil {
		r.slot, r.joined = slot, true
	}
}
