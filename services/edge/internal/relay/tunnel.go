package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// tunnel is a WebSocket that is passed on: what one side sends goes to the other, as it is.
type tunnel struct {
	client, owner net.Conn
	leave         func() // gives its seat back
	once          sync.Once
}

func (t *tunnel) close() {
	t.once.Do(func() {
		_ = t.client.Close() // both may have gone already
		_ = t.owner.Close()
		t.leave()
	})
}

// tunnels are those that are open.
type tunnels struct {
	mu     sync.Mutex
	open   map[*tunnel]struct{}
	closed bool
	work   sync.WaitGroup
}

func (ts *tunnels) add(t *tunnel) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return false
	}
	ts.open[t] = struct{}{}
	ts.work.Add(1)
	return true
}

func (ts *tunnels) remove(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.open, t)
	ts.work.Done()
}

// close ends all tunnels and waits for them.
func (ts *tunnels) close() {
	ts.mu.Lock()
	ts.closed = true
	for t := range ts.open {
		t.close()
	}
	ts.mu.Unlock()
	ts.work.Wait()
}

// Tunnels is how many WebSockets are passed on.
func (r *Relay) Tunnels() int {
	r.tunnels.mu.Lock()
	defer r.tunnels.mu.Unlock()
	return len(r.tunnels.open)
}

// Drain ends the WebSockets that are passed on, spread over a time; their clients come back over other edges. New ones are
// refused from now on.
func (r *Relay) Drain(ctx context.Context, spread time.Duration) {
	r.tunnels.mu.Lock()
	r.tunnels.closed = true
	open := make([]*tunnel, 0, len(r.tunnels.open))
	for t := range r.tunnels.open { // in no order
		open = append(open, t)
	}
	r.tunnels.mu.Unlock()
	for i, t := range open {
		pause := time.NewTimer(rand.N(2*spread/time.Duration(len(open)) + 1))
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
		if ctx.Err() != nil {
			for _, t := range open[i:] {
				t.close()
			}
			return
		}
		t.close()
	}
}

// upgrade passes a WebSocket handshake on and, when the owner has agreed, everything after it.
func (r *Relay) upgrade(c *fiber.Ctx, address string) (bool, error) {
	leave, err := r.cfg.Seat(c)
	if err != nil {
		return true, err
	}
	owner, err := r.dial(address)
	if err != nil {
		leave()
		r.failed("upgrade", err)
		return false, nil
	}
	t := &tunnel{owner: owner, leave: leave}
	in, res, err := r.shake(c, owner)
	if err != nil {
		t.abandon()
		r.failed("upgrade", err)
		return false, nil
	}
	r.passed.WithLabelValues("upgrade", "ok").Inc()
	if res.StatusCode != http.StatusSwitchingProtocols {
		defer t.abandon()
		return true, refused(c, res)
	}
	head := headOf(res)
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(client net.Conn) {
		t.client = client
		r.join(t, head, in)
	})
	return true, nil
}

// abandon ends a tunnel that has no client yet.
func (t *tunnel) abandon() {
	_ = t.owner.Close()
	t.leave()
}

// shake sends the handshake to the owner and reads the head of its answer.
func (r *Relay) shake(c *fiber.Ctx, owner net.Conn) (*bufio.Reader, *http.Response, error) {
	if err := owner.SetDeadline(time.Now().Add(r.cfg.Within)); err != nil {
		return nil, nil, err
	}
	c.Request().Header.Set(hop, r.id)
	out := bufio.NewWriter(owner)
	if err := c.Request().Write(out); err != nil {
		return nil, nil, fmt.Errorf("send the handshake: %w", err)
	}
	if err := out.Flush(); err != nil {
		return nil, nil, fmt.Errorf("send the handshake: %w", err)
	}
	in := bufio.NewReader(owner)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	return in, res, owner.SetDeadline(time.Time{})
}

// refused answers with the owner's refusal.
func refused(c *fiber.Ctx, res *http.Response) error {
	defer res.Body.Close()
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return fmt.Errorf("read the refusal: %w", err)
	}
	c.Set(fiber.HeaderContentType, res.Header.Get("Content-Type"))
	return c.Status(res.StatusCode).Send(body)
}

// headOf is the head of the owner's answer as the client gets it.
func headOf(res *http.Response) []byte {
	head := fmt.Appendf(nil, "HTTP/1.1 %s\r\n", res.Status)
	for name, values := range res.Header {
		for _, v := range values {
			head = fmt.Appendf(head, "%s: %s\r\n", name, v)
		}
	}
	return append(head, "\r\n"...)
}

// join carries bytes both ways until one side ends.
func (r *Relay) join(t *tunnel, head []byte, in *bufio.Reader) {
	defer t.close()
	if !r.tunnels.add(t) {
		return
	}
	defer r.tunnels.remove(t)
	_ = t.client.SetDeadline(time.Time{}) // those of the request are over
	if _, err := t.client.Write(head); err != nil {
		return
	}
	early, _ := in.Peek(in.Buffered()) // what there is
	if _, err := t.client.Write(early); err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer t.close()
		carry(t.client, t.owner)
	})
	carry(t.owner, t.client)
	t.close()
	back.Wait()
}

// carry copies until a side ends. Without a buffer of its own the kernel would copy, through a pipe that each direction of an
// idle tunnel would hold: two open files more.
func carry(to, from net.Conn) {
	const size = 2 << 10
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, size))
}
