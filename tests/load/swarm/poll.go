//go:build linux

package swarm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/talus-tally/talus/tests/load/follow"
)

// poll is what a connection keeps whose stream comes in answers to requests. One request is under way at a time, so that a
// client is one socket: what it has to say goes before its next poll.
type poll struct {
	session string
	say     []byte // packets to be posted
	posting bool
	ends    bool // the server has said so
	leaves  bool // the client has said so
}

// keep adds a packet to what is to be said.
func (p *poll) keep(packet []byte) {
	if len(p.say) > 0 {
		p.say = append(p.say, follow.Separator)
	}
	p.say = append(p.say, packet...)
}

// exchange takes the answer to a request, and sends the next one.
func (w *worker) exchange(c *conn, b []byte) {
	body, err := follow.Whole(b)
	switch {
	case err != nil:
		w.broken(c, err)
	case body.Size == 0:
		w.keep(c, b)
	case !c.room.Dialect.Accepts(body.Status) && c.follower.Joined():
		w.lost(c, fmt.Errorf("status %d: %.300q", body.Status, body.Text))
	case !c.room.Dialect.Accepts(body.Status):
		w.broken(c, fmt.Errorf("refused with status %d: %.300q", body.Status, body.Text))
	case body.Size < len(b):
		w.broken(c, fmt.Errorf("%w: %.100q follows an answer", follow.ErrGarble, b[body.Size:]))
	default:
		c.rest = nil
		w.answered(c, body.Text)
	}
}

// answered takes the body of an answer.
func (w *worker) answered(c *conn, body []byte) {
	d, p := c.room.Dialect.(follow.Exchange), c.poll
	switch {
	case p.posting: // it says ok
		p.posting = false
	case p.session == "":
		if p.session = d.Session(body); p.session == "" {
			w.broken(c, fmt.Errorf("%w: %.100q names no session", follow.ErrGarble, body))
			return
		}
		c.state = live
		fallthrough
	default:
		if _, err := c.follower.Take(c.room, body, c); err != nil {
			w.broken(c, err)
			return
		}
	}
	switch {
	case p.leaves:
		w.shut(c)
		c.follower.Away()
	case p.ends:
		w.lost(c, nil)
	default:
		w.ask(c, d)
	}
}

// ask sends the next request.
func (w *worker) ask(c *conn, d follow.Exchange) {
	p, host := c.poll, c.target.String()
	if len(p.say) > 0 {
		p.posting = true
		w.out = d.AppendPost(w.out[:0], host, p.session, p.say)
		p.say = nil
	} else {
		w.out = d.AppendPoll(w.out[:0], host, p.session)
	}
	c.send(w.out)
}

// Leave ends every connection that is open, as clients do that say good-bye, and waits until they have gone.
func (s *Swarm) Leave(ctx context.Context) error {
	byes := map[netip.AddrPort][][]byte{}
	for _, w := range s.workers {
		w.mu.Lock()
		for _, c := range w.conns {
			if c.state == over {
				continue
			}
			c.away = true
			if d, ok := c.room.Dialect.(follow.Exchange); ok && c.state == live {
				c.poll.leaves = true
				byes[c.target] = append(byes[c.target], d.AppendPost(nil, c.target.String(), c.poll.session, []byte(follow.Leave)))
				continue
			}
			w.shut(c)
			c.follower.Away()
		}
		w.mu.Unlock()
	}
	for target, posts := range byes {
		if err := say(ctx, target, posts); err != nil {
			return err
		}
	}
	return s.await(ctx, "leaving", func(c *conn) bool { return c.state == over })
}

// say sends requests one after the other over one connection.
func say(ctx context.Context, target netip.AddrPort, requests [][]byte) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	answers := bufio.NewReader(conn)
	for _, request := range requests {
		if err := post(conn, answers, request); err != nil {
			return fmt.Errorf("saying good-bye: %w", err)
		}
	}
	return nil
}

// post sends one request and wants to be answered that all is well.
func post(conn net.Conn, answers *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.300q", answer.StatusCode, text)
	}
	return err
}
