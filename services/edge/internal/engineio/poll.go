package engineio

import (
	"bytes"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// hurryTime is how long a poll that begins during an upgrade waits for its end.
const hurryTime = 100 * time.Millisecond

// poll is a GET that waits for packets. Its fields are under the session's mu until it is done.
type poll struct {
	body    []byte
	packets int
	err     error // the answer, instead of the body
	done    bool  // the answer is complete
	last    bool  // and the connection's last
	timer   *time.Timer
	parked
}

// polls lends polls to requests.
var polls = sync.Pool{New: func() any { return new(poll) }}

// keepBody is the largest buffer, in bytes, that is kept for another poll.
const keepBody = 64 << 10

func (p *poll) release() {
	if cap(p.body) > keepBody {
		p.body = nil
	}
	*p = poll{body: p.body[:0]}
	polls.Put(p)
}

// full says whether a packet of that size must wait for the next poll. The first is taken whatever its size.
func (p *poll) full(size, limit int) bool {
	return p.packets >= maxPackets || p.packets > 0 && len(p.body)+1+size > limit
}

// get answers a GET: with what waits or, when something comes, later.
func (s *Session) get(c *fiber.Ctx) error {
	s.server.count.polls.Add(1)
	p := polls.Get().(*poll)
	hurry, err := s.await(p)
	if err != nil {
		p.release()
		return err
	}
	s.conn.Resume()
	if s.waits(p, hurry) {
		s.park(c, p)
		return nil
	}
	defer p.release()
	if p.err != nil {
		return p.err
	}
	c.Set(fiber.HeaderContentType, textPlain)
	c.Context().Response.SetBody(p.body)
	return nil
}

// await makes p the session's pending poll, if that is allowed. Hurry says that it must not wait for long.
func (s *Session) await(p *poll) (hurry bool, err error) {
	now := s.server.now()
	s.mu.Lock()
	switch {
	case s.gone:
		s.mu.Unlock()
		return false, unknownSession
	case s.late(now):
		s.mu.Unlock()
		s.silent()
		return false, unknownSession
	case s.websocket:
		s.mu.Unlock()
		return false, badRequest
	case s.poll != nil: // two at a time are a violation, for both
		s.mu.Unlock()
		s.violated()
		return false, badRequest
	}
	defer s.mu.Unlock()
	s.poll = p
	return s.probed, nil
}

// waits says whether p has no answer yet. If it must hurry it ends with a noop when the upgrade takes its time: the client
// waits for the poll before it completes it.
func (s *Session) waits(p *poll, hurry bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.done && hurry {
		p.timer = time.AfterFunc(hurryTime, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.poll == p {
				s.answer(typeNoop)
			}
		})
	}
	return !p.done
}

// answer completes the pending poll, if any: with what it has got, or else with an empty packet of that type. It is called with mu.
func (s *Session) answer(packet byte) {
	if s.poll == nil {
		return
	}
	if s.poll.packets == 0 {
		s.poll.body = append(s.poll.body, packet)
	}
	s.complete(nil)
}

// complete is called with mu, while a poll is pending.
func (s *Session) complete(err error) {
	p := s.poll
	s.poll = nil
	p.err, p.done, p.last = err, true, s.gone
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.conn != nil {
		go s.finish(p)
	}
}

// Write implements socket.Output: the pending poll takes what its response has room for.
func (s *Session) Write(frames []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.poll
	if p == nil {
		return 0
	}
	taken := 0
	for taken < len(frames) {
		op, payload, size := cut(frames[taken:])
		if op == frame.Close && s.comesBack() {
			return taken + s.dismiss(size)
		}
		if p.full(packetSize(op, payload), s.server.cfg.MaxPayload) {
			break
		}
		if p.packets > 0 {
			p.body = append(p.body, separator...)
		}
		p.body = appendPacket(p.body, op, payload)
		p.packets++
		taken += size
	}
	return taken
}

// comesBack says whether the end of the session must not be told with a close packet, although the peer may come back:
// python-engineio 4 takes that for a good-bye while it polls, but not an error. It is called with mu.
func (s *Session) comesBack() bool { return s.final && !s.rejected }

// dismiss takes a close frame of that size by an error, in a response of its own. It is called with mu, while a poll is
// pending.
func (s *Session) dismiss(size int) int {
	if s.poll.packets > 0 {
		return 0
	}
	s.complete(unknownSession)
	return size
}

// Flush implements socket.Output: a poll that has got something does not wait for more.
func (s *Session) Flush() {
	s.mu.Lock()
	if s.poll != nil && s.poll.packets > 0 {
		s.complete(nil)
	}
	s.mu.Unlock()
}

// post takes the packets of a POST.
func (s *Session) post(c *fiber.Ctx) error {
	s.server.count.posts.Add(1)
	body := c.Request().Body()
	if string(c.Request().Header.ContentType()) == fiber.MIMEOctetStream {
		s.violated()
		return badRequest
	}
	if len(body) > s.server.cfg.MaxPayload {
		return tooLarge
	}
	if err := s.begin(); err != nil {
		return err
	}
	err := s.take(body)
	s.leave()
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "text/html")
	return c.SendString("ok")
}

// begin lets a POST in.
func (s *Session) begin() error {
	now := s.server.now()
	s.mu.Lock()
	switch {
	case s.gone || s.conn.Ended(): // what it says does not count any more
		s.mu.Unlock()
		return unknownSession
	case s.late(now):
		s.mu.Unlock()
		s.silent()
		return unknownSession
	case s.websocket:
		s.mu.Unlock()
		return badRequest
	case s.busy: // two at a time are a violation
		s.mu.Unlock()
		s.violated()
		return badRequest
	}
	defer s.mu.Unlock()
	s.busy = true
	return nil
}

// take passes on the packets of a body, in order, until the session ends.
func (s *Session) take(body []byte) error {
	if !utf8.Valid(body) {
		s.violated()
		return badRequest
	}
	for more := true; more && !s.conn.Ended(); {
		var packet []byte
		packet, body, more = bytes.Cut(body, separator)
		if !s.conn.Afford() {
			return tooMany
		}
		if !s.packet(packet) {
			s.violated()
			return badRequest
		}
	}
	return nil
}

// violated ends the session of a peer that broke the rules of the transport.
func (s *Session) violated() {
	s.server.count.violations.Add(1)
	s.mu.Lock()
	s.rejected = true
	s.mu.Unlock()
	s.drop(ErrViolation)
}
