package engineio

import (
	"net"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	answerTime = 10 * time.Second // in which a peer must take the answer to a poll
	restTime   = time.Minute      // in which the next request on the connection must begin
)

// parked is the connection of a poll that waits. The request is taken off the HTTP server's hands, so that waiting takes
// neither a goroutine nor a buffer; the connection is handed back when the poll has been answered.
type parked struct {
	conn   net.Conn // nil until the HTTP server has let go of it
	http   *fasthttp.Server
	origin string // of the page that may read the answer, if any
	once   bool   // the peer wants no further request on the connection
}

// park lets p wait for its answer outside of its request.
func (s *Session) park(c *fiber.Ctx, p *poll) {
	header := &c.Request().Header
	p.http = c.App().Server()
	p.origin = strings.Clone(c.Get(fiber.HeaderOrigin))
	p.once = !header.IsHTTP11() || header.ConnectionClose()
	s.server.answering.Add(1)
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(nc net.Conn) {
		conn := reclaim(nc)
		s.mu.Lock()
		p.conn = conn
		done := p.done
		s.mu.Unlock()
		if done { // in the meantime
			go s.finish(p)
		}
	})
}

// finish answers a poll that was parked, and serves what else comes on its connection. If packets cannot be written the peer
// has missed them, so the session is over.
func (s *Session) finish(p *poll) {
	conn, http, last, packets := p.conn, p.http, p.last || p.once, p.packets
	err := s.server.respond(p, last)
	p.release()
	s.server.answering.Done()
	if err != nil && packets > 0 {
		s.drop(err)
	}
	if err != nil || last || rest(conn) != nil {
		_ = conn.Close() // either way it is over
		return
	}
	_ = http.ServeConn(conn) // it closes what fails; who it was will say so
}

// respond writes the answer of a poll.
func (s *Server) respond(p *poll, last bool) error {
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	resp.Header.Set(fiber.HeaderCacheControl, noStore)
	resp.Header.Set(fiber.HeaderVary, fiber.HeaderOrigin)
	s.readable(&resp.Header, p.origin)
	if last {
		resp.SetConnectionClose()
	}
	if p.err != nil {
		s.refuse(resp, p.err, false)
	} else {
		resp.Header.SetContentType(textPlain)
		resp.SetBodyRaw(p.body)
	}
	if err := p.conn.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	_, err := resp.WriteTo(p.conn)
	return err
}

// rest lets the peer begin its next request.
func rest(conn net.Conn) error {
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	if c, ok := conn.(interface{ Rest(time.Duration) error }); ok {
		return c.Rest(restTime)
	}
	return conn.SetReadDeadline(time.Now().Add(restTime))
}

// reclaim takes the connection out of what the HTTP server hands over, with what it has read ahead of it.
func reclaim(hijacked net.Conn) net.Conn {
	conn := hijacked
	if u, ok := hijacked.(interface{ UnsafeConn() net.Conn }); ok {
		conn = u.UnsafeConn()
	}
	if conn.SetReadDeadline(time.Unix(1, 0)) != nil { // so that only what is in memory is read
		return conn
	}
	var ahead []byte
	var b [64]byte
	for n := 1; n > 0; {
		n, _ = hijacked.Read(b[:]) // the deadline, in the end
		ahead = append(ahead, b[:n]...)
	}
	_ = conn.SetReadDeadline(time.Time{}) // as before; writing will tell
	if l, ok := conn.(*leading); ok {     // which has been read to its end
		conn = l.Conn
	}
	if len(ahead) > 0 {
		return &leading{conn, ahead}
	}
	return conn
}

// leading is a connection of which the first bytes have been read already.
type leading struct {
	net.Conn
	ahead []byte
}

// NetConn is the connection under this one.
func (c *leading) NetConn() net.Conn { return c.Conn }

func (c *leading) Read(b []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// Settle waits until the answers to the polls that have ended are on their way, at most for the given time. No request may
// come any more.
func (s *Server) Settle(within time.Duration) {
	settled := make(chan struct{})
	go func() { s.answering.Wait(); close(settled) }()
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-settled:
	case <-late.C:
	}
}
