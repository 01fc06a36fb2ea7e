package engineio

import (
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// probe is a WebSocket that wants to become the transport of a session (part 1.7), and then is.
type probe struct {
	session *Session
	expires time.Duration // when it must have taken over

	// Of the goroutine that reads the WebSocket, but for conn, which is fixed while it opens.
	conn     *socket.Conn
	answered bool
	accepted bool
}

// kind is of one connection only, as it knows whose it is.
func (s *Session) kind() *socket.Kind {
	p := &probe{session: s, expires: s.server.now() + s.server.cfg.UpgradeTimeout}
	return &socket.Kind{
		Framing: framing{}, Handler: p, MessageLimit: s.server.cfg.MaxPayload, Binary: true,
		Guest: true, Host: s.opening.Address,
	}
}

// Open implements socket.Handler. A session that has a WebSocket, or is about to get one, takes no second one.
func (p *probe) Open(c *socket.Conn, _ socket.Opening) socket.Client {
	p.conn = c
	s := p.session
	s.mu.Lock()
	welcome := !s.websocket && !s.gone && s.probe == nil
	if welcome {
		s.probe = p
	}
	s.mu.Unlock()
	if !welcome {
		c.Close(frame.CodeNoStatus, "")
	}
	return p
}

// Message implements socket.Client.
func (p *probe) Message(payload []byte) {
	switch {
	case p.accepted:
		p.pass(func() {
			if !p.session.packet(payload) {
				p.session.Reject()
			}
		})
	case !p.answered && string(payload) == "2probe":
		p.answered = true
		_ = p.conn.Send(probeFrame)
		p.session.pause(p)
	case p.answered && string(payload) == string(rune(typeUpgrade)):
		p.accepted = p.session.move(p)
	default:
		p.giveUp()
	}
}

// Binary implements socket.BinaryClient.
func (p *probe) Binary(payload []byte) {
	if p.accepted {
		p.pass(func() { p.session.client.Binary(payload) })
		return
	}
	p.giveUp()
}

// pass passes a message on unless the session is over.
func (p *probe) pass(message func()) {
	if p.session.enter() {
		message()
		p.session.leave()
	}
}

// Visit implements socket.Keeper.
func (p *probe) Visit() {
	if p.session.server.now() >= p.expires && p.session.forget(p) {
		p.conn.Close(frame.CodeNoStatus, "")
	}
}

// Closed implements socket.Client.
func (p *probe) Closed(error) { _ = p.session.forget(p) }

func (p *probe) giveUp() {
	_ = p.session.forget(p)
	p.conn.Close(frame.CodeNoStatus, "")
}

// forget lets a session go on polling. It returns false if the session did not wait for p.
func (s *Session) forget(p *probe) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe != p {
		return false
	}
	s.probe, s.probed = nil, false
	return true
}

// pause ends the pending poll, and every later one soon, as the client completes the upgrade between two polls.
func (s *Session) pause(p *probe) {
	s.mu.Lock()
	if s.probe == p {
		s.probed = true
		s.answer(typeNoop)
	}
	s.mu.Unlock()
}

// move makes the WebSocket the transport.
func (s *Session) move(p *probe) bool {
	s.mu.Lock()
	if s.probe != p || s.gone || s.busy {
		s.mu.Unlock()
		s.violated()
		p.conn.Close(frame.CodeNoStatus, "")
		return false
	}
	s.websocket, s.probe, s.probed = true, nil, false
	switch {
	case s.poll == nil:
	case s.poll.packets > 0:
		s.complete(nil)
	default:
		s.complete(badRequest)
	}
	s.mu.Unlock()
	s.server.count.upgraded.Add(1)
	if err := p.conn.Lend(s.conn); err != nil {
		s.drop(err)
	}
	return true
}
