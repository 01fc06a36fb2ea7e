package socketio

import (
	"encoding/json"
	"strconv"
	"sync"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
)

// state is where a Socket stands.
type state uint8

const (
	connecting state = iota // CONNECT is not answered
	accepting               // the answer is on its way out
	open
	closed // the client knows, or need not know
)

// Socket is one peer's connection to one namespace. All methods may be called by any goroutine at any time, and never block.
type Socket struct {
	connection *connection
	namespace  string

	client Client // fixed before running is first false
	takes  int    // attachments; fixed

	mu      sync.Mutex
	id      string
	state   state
	running bool  // somebody calls the client
	gone    error // the end has come, and the client does not know
	waiting []waiting
	bytes   int
	asked   uint64            // the next id of an acknowledgement
	answers map[uint64]Answer // that are owed
}

// waiting is a packet that came before the client can have it.
type waiting struct {
	packet
	attachments [][]byte
}

// ID names the peer in this namespace. It is not secret, and not the session's id.
func (s *Socket) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Namespace is the name of the namespace.
func (s *Socket) Namespace() string { return s.namespace }

// Session is the session that carries the connection, and maybe others.
func (s *Socket) Session() *engineio.Session { return s.connection.session }

// Accept answers CONNECT: the peer gets its id, and then what it sent in the meantime is passed on. Extra is appended to
// the members of the answer's object, such as `,"pid":"…"`; it may be nil. Only the first call of Accept or Refuse counts.
func (s *Socket) Accept(extra []byte) { s.AcceptAs(s.ID(), extra) }

// AcceptAs is Accept with the id that the peer had before.
func (s *Socket) AcceptAs(id string, extra []byte) {
	s.mu.Lock()
	if s.state != connecting || s.gone != nil {
		s.mu.Unlock()
		return
	}
	s.state, s.id = accepting, id
	s.mu.Unlock()

	s.connection.joining.Stop()
	text, _ := json.Marshal(id) // a string always has a JSON form
	payload := append(append([]byte(`{"sid":`), text...), extra...)
	_ = s.connection.session.Send(message(s.head(typeConnect), append(payload, '}')))

	s.mu.Lock()
	if s.state == accepting {
		s.state = open
	}
	mine := !s.running
	s.running = true
	s.mu.Unlock()
	if mine {
		s.run()
	}
}

// Refuse answers CONNECT: the peer is told why, and may try again. Data is a JSON text or nil.
func (s *Socket) Refuse(why string, data []byte) {
	s.mu.Lock()
	if s.state != connecting || s.gone != nil {
		s.mu.Unlock()
		return
	}
	s.state = closed
	s.waiting = nil
	s.mu.Unlock()

	s.connection.remove(s)
	text, _ := json.Marshal(why) // a string always has a JSON form
	payload := append([]byte(`{"message":`), text...)
	if data != nil {
		payload = append(append(payload, `,"data":`...), data...)
	}
	_ = s.connection.session.Send(message(s.head(typeConnectError), append(payload, '}')))
}

// Kick ends the connection to the namespace. The peer does not come back by itself, so this is for peers that are not
// wanted; to move them elsewhere, close the Session.
func (s *Socket) Kick() {
	if s.connected() {
		s.connection.remove(s)
		_ = s.connection.session.Send(message(s.head(typeDisconnect), nil))
		s.end(ErrKicked)
	}
}

func (s *Socket) head(kind byte) []byte { return appendHead(nil, kind, 0, s.namespace) }

// connected says whether the peer may be sent events.
func (s *Socket) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == open && s.gone == nil
}

// take passes a packet on, now or when the client can have it.
func (s *Socket) take(pk packet, attachments [][]byte) {
	s.mu.Lock()
	if s.state != open || s.running {
		fits := s.wait(pk, attachments)
		s.mu.Unlock()
		if !fits {
			s.connection.session.Reject()
		}
		return
	}
	s.running = true
	s.mu.Unlock()
	s.pass(pk, attachments)
	s.run()
}

// wait keeps a packet for later. It returns false if there are too many. It is called with mu.
func (s *Socket) wait(pk packet, attachments [][]byte) bool {
	cfg := s.connection.server.cfg
	const header = 24 // bytes of a slice
	size := len(pk.data) + header*len(pk.args)
	for _, a := range attachments {
		size += len(a)
	}
	if len(s.waiting) >= cfg.MaxWaiting || s.bytes+size > cfg.MaxWaitingBytes {
		return false
	}
	s.waiting = append(s.waiting, waiting{pk.clone(), attachments})
	s.bytes += size
	return true
}

// clone is a packet that may be kept, without what only the parser looks at.
func (pk *packet) clone() packet {
	kept := *pk
	kept.namespace, kept.data = nil, nil
	kept.args = make([][]byte, len(pk.args))
	text := make([]byte, 0, len(pk.data)) // one allocation for all
	for i, arg := range pk.args {
		from := len(text)
		text = append(text, arg...)
		kept.args[i] = text[from:len(text):len(text)]
	}
	return kept
}

// run passes on what waits, as far as the client can have it. The caller has set running.
func (s *Socket) run() {
	for {
		s.mu.Lock()
		switch {
		case s.gone != nil && s.state != closed:
			s.state = closed
			s.waiting = nil
			answers, err := s.answers, s.gone
			s.answers = nil
			s.mu.Unlock()
			s.farewell(answers, err)
			return
		case s.state == open && len(s.waiting) > 0:
			next := s.waiting[0]
			if s.waiting = s.waiting[1:]; len(s.waiting) == 0 {
				s.waiting, s.bytes = nil, 0
			}
			s.mu.Unlock()
			s.pass(next.packet, next.attachments)
		default:
			s.running = false
			s.mu.Unlock()
			return
		}
	}
}

// farewell lets everybody know who waits for the peer.
func (s *Socket) farewell(answers map[uint64]Answer, err error) {
	for _, answer := range answers {
		answer(nil, nil, ErrDisconnected)
	}
	s.client.Disconnected(err)
}

// pass gives a packet to who it is for.
func (s *Socket) pass(pk packet, attachments [][]byte) {
	switch pk.kind {
	case typeEvent, typeBinaryEvent:
		e := Event{Name: nameOf(pk.args[0]), Args: pk.args[1:], Attachments: attachments}
		if pk.hasID {
			e.Ack.owed = &owed{socket: s, id: pk.id}
		}
		s.client.Event(e)
	case typeAck, typeBinaryAck:
		if answer := s.answer(pk); answer != nil {
			answer(pk.args, attachments, nil)
		}
	case typeDisconnect:
		s.mu.Lock()
		if s.gone == nil {
			s.gone = ErrLeft
		}
		s.mu.Unlock()
	}
}

// end says that the peer is gone.
func (s *Socket) end(err error) {
	s.mu.Lock()
	if s.gone == nil {
		s.gone = err
	}
	mine := !s.running
	s.running = true
	s.mu.Unlock()
	if mine {
		s.run()
	}
}

// Send sends whole frames, in one piece. Until CONNECT is answered they go before the answer.
func (s *Socket) Send(frames []byte) error {
	s.mu.Lock()
	over := s.state == closed || s.gone != nil
	s.mu.Unlock()
	if over {
		return ErrDisconnected
	}
	return s.connection.session.Send(frames)
}

// Emit sends an event. Args are JSON texts.
func (s *Socket) Emit(name string, args ...[]byte) error { return s.EmitBinary(name, nil, args...) }

// EmitBinary sends an event with attachments; see AppendBinaryEvent.
func (s *Socket) EmitBinary(name string, attachments [][]byte, args ...[]byte) error {
	if err := s.allows(name, attachments); err != nil {
		return err
	}
	return s.Send(AppendBinaryEvent(nil, s.namespace, name, attachments, args...))
}

func (s *Socket) allows(name string, attachments [][]byte) error {
	switch {
	case reserved(name):
		return ErrReserved
	case len(attachments) > s.connection.server.cfg.MaxAttachments:
		return ErrAttachments
	case !s.connected():
		return ErrDisconnected
	default:
		return nil
	}
}

// Answer is called once with what the peer answers to an event. Args are JSON texts and valid only during the call. The
// error is ErrDisconnected if no answer can come any more.
type Answer func(args, attachments [][]byte, err error)

// Ask sends an event that the peer is to acknowledge. A peer need not: the caller bounds how many it asks for.
func (s *Socket) Ask(answer Answer, name string, args ...[]byte) error {
	if err := s.allows(name, nil); err != nil {
		return err
	}
	s.mu.Lock()
	if s.state == closed || s.gone != nil {
		s.mu.Unlock()
		return ErrDisconnected
	}
	id := s.asked
	s.asked++
	if s.answers == nil {
		s.answers = map[uint64]Answer{}
	}
	s.answers[id] = answer
	s.mu.Unlock()
	head := appendName(strconv.AppendUint(s.head(typeEvent), id, 10), name)
	return s.connection.session.Send(appendFrame(nil, head, args, nil))
}

// answer takes who waits for an acknowledgement.
func (s *Socket) answer(pk packet) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !pk.hasID {
		return nil
	}
	answer := s.answers[pk.id]
	delete(s.answers, pk.id)
	return answer
}
