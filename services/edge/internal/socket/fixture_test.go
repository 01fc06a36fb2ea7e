package socket_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// serve runs a server with an endpoint /ws on a free port until the test ends, and returns it with its address. At the
// end all goroutines have ended.
func serve(tb testing.TB, cfg socket.Config, h socket.Handler) (*socket.Server, string) {
	tb.Helper()
	s, err := socket.New(cfg, h)
	if err != nil {
		tb.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ReduceMemoryUsage: true})
	app.Server().KeepHijackedConns = true
	app.Get("/ws", s.Upgrade)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = app.Listener(ln) })
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		cancel()
		_ = app.ShutdownWithTimeout(time.Second)
		wg.Wait()
	})
	return s, ln.Addr().String()
}

// eventually waits until ok is true, 10 s at most.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("did not happen in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// guests is a handler made of functions; all may be nil.
type guests struct {
	open    func(c *socket.Conn, o socket.Opening) // may be called concurrently
	message func(c *socket.Conn, payload []byte)
	closed  func(c *socket.Conn, err error)
}

func (g guests) Open(c *socket.Conn, o socket.Opening) socket.Client {
	if g.open != nil {
		g.open(c, o)
	}
	return guest{g, c}
}

type guest struct {
	guests
	c *socket.Conn
}

func (g guest) Message(payload []byte) {
	if g.message != nil {
		g.message(g.c, payload)
	}
}

func (g guest) Closed(err error) {
	if g.closed != nil {
		g.closed(g.c, err)
	}
}

// echo answers every message with itself.
func echo(c *socket.Conn, payload []byte) { _ = c.Send(frame.AppendText(nil, payload)) }

// room is a Stream with a ring of a given size over a log that keeps everything, and a fan-out under one lock.
type room struct {
	name  string
	ring  []atomic.Pointer[entry]
	head  atomic.Uint64
	state atomic.Pointer[[]byte]

	mu   sync.Mutex
	subs map[*socket.Conn]socket.Slot

	logMu  sync.Mutex
	log    [][]byte
	refill chan func()
}

type entry struct {
	version uint64
	frame   []byte
}

// newRoom makes a room whose refills are served by one goroutine until the test ends.
func newRoom(tb testing.TB, name string, size int) *room {
	r := &room{name: name, ring: make([]atomic.Pointer[entry], size), subs: map[*socket.Conn]socket.Slot{}, refill: make(chan func(), 1<<16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range r.refill {
			f()
		}
	}()
	tb.Cleanup(func() { close(r.refill); <-done })
	return r
}

func (r *room) Head() uint64 { return r.head.Load() }

func (r *room) Frame(v uint64) []byte {
	if e := r.ring[v%uint64(len(r.ring))].Load(); e != nil && e.version == v {
		return e.frame
	}
	return nil
}

func (r *room) Latest() []byte {
	if p := r.state.Load(); p != nil {
		return *p
	}
	return nil
}

func (r *room) Refill(c *socket.Conn, slot socket.Slot, after uint64) {
	r.refill <- func() {
		r.logMu.Lock()
		frames := r.log[min(after, uint64(len(r.log))):]
		frames = frames[:min(len(frames), 100)]
		r.logMu.Unlock()
		c.Supply(slot, after+1, frames)
	}
}

// join attaches c at the head, or after a version given.
func (r *room) join(c *socket.Conn, after ...uint64) (socket.Slot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.head.Load()
	if len(after) > 0 {
		from = after[0]
	}
	slot, err := c.Attach(r, from, frame.AppendText(nil, fmt.Appendf(nil, "joined %s %d", r.name, from)))
	if err == nil {
		r.subs[c] = slot
	}
	return slot, err
}

func (r *room) leave(c *socket.Conn) {
	r.mu.Lock()
	slot, ok := r.subs[c]
	delete(r.subs, c)
	r.mu.Unlock()
	if ok {
		c.Detach(slot, frame.AppendText(nil, fmt.Appendf(nil, "left %s", r.name)))
	}
}

// commit publishes the next version with a body of size bytes: "<room> <version> <padding>".
func (r *room) commit(size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.head.Load() + 1
	text := fmt.Appendf(nil, "%s %d ", r.name, v)
	f := frame.AppendText(nil, append(text, strings.Repeat("x", size)...))
	r.logMu.Lock()
	r.log = append(r.log, f)
	r.logMu.Unlock()
	r.ring[v%uint64(len(r.ring))].Store(&entry{v, f})
	r.head.Store(v)
	for c, slot := range r.subs {
		c.Deliver(slot, v, f)
	}
}

// tell publishes an ephemeral frame and keeps it as the room's state. It returns how many connections took it.
func (r *room) tell(text string) int {
	f := frame.AppendText(nil, []byte(text))
	r.state.Store(&f)
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for c, slot := range r.subs {
		if c.Ephemeral(slot, f) {
			n++
		}
	}
	return n
}

// raw is a client that sees single frames.
type raw struct {
	tb testing.TB
	net.Conn
}

// handshake is a minimal upgrade request for target.
func handshake(target string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// dial upgrades at addr; early are bytes sent in the same segment as the request.
func dial(tb testing.TB, addr, target string, early ...byte) *raw {
	tb.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := nc.Write(append([]byte(handshake(target)), early...)); err != nil {
		tb.Fatal(err)
	}
	var head []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, one[0]) {
		if _, err := nc.Read(one); err != nil {
			tb.Fatalf("reading the answer to the upgrade: %v after %q", err, head)
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		tb.Fatalf("upgrade answered %q", head)
	}
	return &raw{tb, nc}
}

// mask returns a client frame with the given first byte.
func mask(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := []byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func (r *raw) send(bs ...[]byte) {
	r.tb.Helper()
	for _, b := range bs {
		if _, err := r.Write(b); err != nil {
			r.tb.Fatal(err)
		}
	}
}

// next reads one server frame and returns its first byte and its payload.
func (r *raw) next() (first byte, payload string, err error) {
	var h, long [8]byte
	if err := r.full(h[:2]); err != nil {
		return 0, "", err
	}
	n := uint64(h[1])
	switch n {
	case 126:
		err = r.full(long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		err = r.full(long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return 0, "", err
	}
	body := make([]byte, n)
	err = r.full(body)
	return h[0], string(body), err
}

// wants reads one frame and compares it.
func (r *raw) wants(first byte, payload string) {
	r.tb.Helper()
	f, p, err := r.next()
	if err != nil || f != first || p != payload {
		r.tb.Fatalf("got frame %#x %.80q, %v; want %#x %.80q", f, p, err, first, payload)
	}
}

// wantsClose reads a close frame with the code and then the end of the stream.
func (r *raw) wantsClose(code uint16) {
	r.tb.Helper()
	f, p, err := r.next()
	if err != nil || f != 0x88 || len(p) < 2 || binary.BigEndian.Uint16([]byte(p)) != code {
		r.tb.Fatalf("got frame %#x %q, %v; want a close frame with %d", f, p, err, code)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		r.tb.Fatal("a byte came after the close frame")
	}
}

func (r *raw) full(b []byte) error {
	for len(b) > 0 {
		n, err := r.Read(b)
		b = b[n:]
		if err != nil && len(b) > 0 {
			return err
		}
	}
	return nil
}
