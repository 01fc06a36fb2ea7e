package engineio

import (
	"encoding/base64"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// Errors that Client.Closed reports, besides those of package socket.
var (
	// ErrViolation: the peer broke the protocol.
	ErrViolation = errors.New("engineio: the peer broke the protocol")
	// ErrLeft: the peer closed the session.
	ErrLeft = errors.New("engineio: the peer closed the session")
)

// Session is one client. All methods may be called by any goroutine at any time, and never block.
type Session struct {
	server  *Server
	id      string
	opening socket.Opening
	base64  bool // the peer cannot take binary messages
	final   bool // the peer does not come back after a close packet; see comesBack

	// Fixed while the session opens.
	conn   *socket.Conn
	client Client

	mu        sync.Mutex
	pong      time.Duration // when the last pong came, or the session began
	pinged    bool          // a ping is unanswered
	alarms    []*Alarm      // few, if any
	rejected  bool          // the peer broke the protocol
	websocket bool          // the transport; it changes once at most, and never back
	gone      bool          // no request finds it any more
	busy      bool          // somebody passes the peer's messages to the client
	over      func()        // what is left to be done when nobody does
	poll      *poll         // the pending GET
	probe     *probe        // the WebSocket that wants to take over
	probed    bool          // and has been answered
}

// opener opens sessions whose first transport is a WebSocket.
type opener struct{ server *Server }

// Open implements socket.Handler.
func (o opener) Open(c *socket.Conn, at socket.Opening) socket.Client {
	s := o.server.session(at, true)
	_ = c.Send(frame.AppendText(nil, s.appendOpen(nil, false)))
	return s.Open(c, at)
}

// session makes a session that nobody knows yet.
func (s *Server) session(at socket.Opening, websocket bool) *Session {
	return &Session{
		server: s, id: s.cfg.NewID(), opening: at, base64: at.Query.Get("b64") != "", websocket: websocket, pong: s.now(),
	}
}

// Open implements socket.Handler for the one connection that the session has.
func (s *Session) Open(c *socket.Conn, _ socket.Opening) socket.Client {
	s.conn = c
	s.client = s.server.handler.Open(s)
	s.server.count.opened.Add(1)
	s.server.table.add(s)
	return s
}

// ID is the session's id. It is a secret between this side and its client.
func (s *Session) ID() string { return s.id }

// Conn is the connection that carries the session, whatever the transport, for rooms to write to: text and binary
// frames, whole, in any number at a time. Frames for a peer that is polling are cut at the borders of messages.
func (s *Session) Conn() *socket.Conn { return s.conn }

// Opening is what is known of the request that began the session.
func (s *Session) Opening() socket.Opening { return s.opening }

// Send queues whole frames; nothing comes between them. Errors: those of socket.Conn.Send.
func (s *Session) Send(frames []byte) error {
	if s.base64 {
		frames = inText(frames)
	}
	return s.conn.Send(frames)
}

// Close ends the session after what Send has queued. The peer is told, and comes back if it likes.
func (s *Session) Close() { s.conn.Close(frame.CodeNoStatus, "") }

// Reject is Close for a peer that broke the protocol that its messages are in.
func (s *Session) Reject() {
	s.server.count.violations.Add(1)
	s.mu.Lock()
	s.rejected = true
	s.mu.Unlock()
	s.Close()
}

// Visit implements socket.Keeper: it is the heartbeat (part 1.6), and the clock of the alarms.
func (s *Session) Visit() {
	cfg, now := s.server.cfg, s.server.now()
	s.mu.Lock()
	late := s.late(now)
	due := !s.pinged && now >= s.pong+cfg.PingInterval-cfg.PingInterval/10
	if due {
		s.pinged = true // before the ping is written: the pong may be quick
	}
	s.mu.Unlock()
	if late {
		s.silent()
		return
	}
	s.ring(now)
	if due {
		_ = s.conn.Send(pingFrame) // over: nobody is to answer it
	}
}

// late says whether a pong should have come. It is called with mu.
func (s *Session) late(now time.Duration) bool {
	return now >= s.pong+s.server.cfg.PingInterval+s.server.cfg.PingTimeout
}

func (s *Session) silent() {
	s.server.count.silent.Add(1)
	s.drop(socket.ErrSilent)
}

// drop ends the session now: no request finds it any more, and a pending poll is told.
func (s *Session) drop(cause error) {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	s.server.table.remove(s)
	s.conn.Fail(cause)
}

// Message implements socket.Client for a session on a WebSocket.
func (s *Session) Message(payload []byte) {
	if !s.packet(payload) {
		s.Reject()
	}
}

// Binary implements socket.BinaryClient.
func (s *Session) Binary(payload []byte) { s.client.Binary(payload) }

// Closed implements socket.Client.
func (s *Session) Closed(err error) {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	s.server.table.remove(s)
	s.client.Closed(err)
}

// packet takes one text packet of the peer. False is a violation.
func (s *Session) packet(p []byte) bool {
	if len(p) == 0 {
		return false
	}
	switch p[0] {
	case typeMessage:
		s.client.Message(p[1:])
	case typeBase64:
		return s.decode(p[1:])
	case typePong:
		s.ponged()
	case typeClose:
		s.left()
	case typeOpen, typeUpgrade, typeNoop:
	default:
		return false
	}
	return true
}

func (s *Session) decode(text []byte) bool {
	payload, err := base64.StdEncoding.AppendDecode(nil, text)
	if err == nil {
		s.client.Binary(payload)
	}
	return err == nil
}

// ponged begins the next heartbeat. A pong that nobody asked for changes nothing.
func (s *Session) ponged() {
	now := s.server.now()
	s.mu.Lock()
	if s.pinged {
		s.pinged, s.pong = false, now
	}
	s.mu.Unlock()
}

// left ends the session as its client wishes. A poll that is pending, or on its way, ends with a noop.
func (s *Session) left() {
	s.mu.Lock()
	s.gone = true
	if s.websocket {
		s.mu.Unlock()
		s.Close()
		return
	}
	waits := s.poll != nil
	s.answer(typeNoop)
	s.mu.Unlock()
	if waits {
		s.server.table.remove(s)
	} else {
		s.server.table.bury(s, s.server.now())
	}
	s.conn.Fail(ErrLeft)
}

// enter begins to pass messages to the client, unless somebody else does or the session is over.
func (s *Session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.gone || s.conn.Ended() {
		return false
	}
	s.busy = true
	return true
}

// leave ends what enter began, and then the session if that was waiting.
func (s *Session) leave() {
	s.mu.Lock()
	s.busy = false
	over := s.over
	s.over = nil
	s.mu.Unlock()
	if over != nil {
		over()
	}
}

// End implements socket.Output.
func (s *Session) End(over func()) {
	s.mu.Lock()
	s.gone = true
	if s.poll != nil && s.poll.packets == 0 && s.comesBack() {
		s.complete(unknownSession)
	}
	s.answer(typeClose)
	if s.busy {
		s.over, over = over, nil
	}
	s.mu.Unlock()
	if over != nil {
		over()
	}
}

// appendOpen appends the packet that begins the session (part 1.2).
func (s *Session) appendOpen(dst []byte, upgrades bool) []byte {
	cfg := s.server.cfg
	dst = append(append(append(dst, `0{"sid":"`...), s.id...), `","upgrades":[`...)
	if upgrades {
		dst = append(dst, `"websocket"`...)
	}
	dst = strconv.AppendInt(append(dst, `],"pingInterval":`...), cfg.PingInterval.Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"pingTimeout":`...), cfg.PingTimeout.Milliseconds(), 10)
	return append(strconv.AppendInt(append(dst, `,"maxPayload":`...), int64(cfg.MaxPayload), 10), '}')
}
