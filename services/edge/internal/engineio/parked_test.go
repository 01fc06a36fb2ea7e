package engineio_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// browser is one connection of an HTTP client, which keeps it.
type browser struct {
	net.Conn
	t    *testing.T
	sys  *engineiotest.System
	read *bufio.Reader
}

func browses(t *testing.T, sys *engineiotest.System) *browser {
	t.Helper()
	nc, err := net.Dial("tcp", sys.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &browser{nc, t, sys, bufio.NewReader(nc)}
}

// asks sends requests of a session, all at once; a method may be followed by a body.
func (b *browser) asks(p engineiotest.Poller, proto string, requests ...string) {
	b.t.Helper()
	var all strings.Builder
	for _, r := range requests {
		method, body, _ := strings.Cut(r, " ")
		fmt.Fprintf(&all, "%s /engine.io/?%s %s\r\nHost: talus\r\nOrigin: http://talus\r\nContent-Length: %d\r\n\r\n%s",
			method, p.Query(), proto, len(body), body)
	}
	if _, err := io.WriteString(b, all.String()); err != nil {
		b.t.Fatal(err)
	}
}

// waits asks for a poll and returns when the server has it.
func (b *browser) waits(p engineiotest.Poller, proto string) {
	b.t.Helper()
	before := b.sys.Stats().Polls
	b.asks(p, proto, "GET")
	sockettest.Eventually(b.t, "the poll arrives", func() bool { return b.sys.Stats().Polls > before })
}

// hears reads an answer.
func (b *browser) hears(status int, body string) *http.Response {
	b.t.Helper()
	resp, err := http.ReadResponse(b.read, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(text) != body {
		b.t.Fatalf("answered %d %q %v, want %d %q", resp.StatusCode, text, err, status, body)
	}
	return resp
}

func TestAPollThatWaitedLeavesItsConnectionToTheNextRequest(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{Credentials: true}, echo())
	p := sys.Opens()
	b := browses(t, sys)

	for i := range 5 {
		b.waits(p, "HTTP/1.1")
		p.Says(fmt.Sprintf("4number %d", i))
		resp := b.hears(200, fmt.Sprintf("4number %d", i))
		for name, want := range map[string]string{
			"Content-Type": "text/plain; charset=UTF-8", "Cache-Control": "no-store", "Vary": "Origin", "Connection": "",
			"Access-Control-Allow-Origin": "http://talus", "Access-Control-Allow-Credentials": "true",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if resp.Header.Get("Date") == "" || resp.Close {
			t.Errorf("answered with %v, close %t", resp.Header, resp.Close)
		}
		b.asks(p, "HTTP/1.1", "POST 6") // a request of another kind
		b.hears(200, "ok")
	}
}

// What a client sends behind a poll, without waiting for the answer, has been read with it.
func TestWhatIsSentBehindAPollIsServedAfterIt(t *testing.T) {
	t.Parallel()
	var session atomic.Pointer[engineio.Session]
	h := echo()
	h.open = func(s *engineio.Session) { session.Store(s) }
	sys := serve(t, engineio.Config{}, h)
	p := sys.Opens()
	b := browses(t, sys)
	long := strings.Repeat("a long message ", 50)

	b.asks(p, "HTTP/1.1", "GET", "POST 4"+long, "GET")
	sockettest.Eventually(t, "the poll arrives", func() bool { return sys.Stats().Polls == 1 })
	_ = session.Load().Send(engineio.AppendMessage(nil, []byte("first"))) // another POST would be one too many

	b.hears(200, "4first")
	b.hears(200, "ok")
	b.hears(200, "4"+long)
}

// Proxies upgrade on a connection that they have kept; the socket under it is the server's all the same.
func TestAConnectionOnWhichAPollWaitedBecomesAWebSocket(t *testing.T) { // not parallel: it counts goroutines
	sys := serve(t, engineio.Config{}, echo())
	p := sys.Opens()
	b := browses(t, sys)
	b.waits(p, "HTTP/1.1")
	p.Says("4hello")
	b.hears(200, "4hello")
	before := runtime.NumGoroutine()

	_, _ = io.WriteString(b, sockettest.Handshake("/engine.io/?EIO=4&transport=websocket"))
	if resp, err := http.ReadResponse(b.read, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %v, %v", resp, err)
	}
	if _, text, err := sockettest.Read(b.read); err != nil || !strings.HasPrefix(text, "0{") {
		t.Fatalf("got %q, %v", text, err)
	}
	if _, err := b.Write(sockettest.Mask(0x81, "4hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := sockettest.Read(b.read); err != nil || text != "4hello" {
		t.Fatalf("got %q, %v", text, err)
	}
	sockettest.Eventually(t, "nothing but the poller waits", func() bool { return runtime.NumGoroutine() < before })
}

func TestAClientThatKeepsNoConnectionIsToldItsEnd(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.0", "HTTP/1.1\r\nConnection: close"} {
		t.Run(proto[:8], func(t *testing.T) {
			t.Parallel()
			sys := serve(t, engineio.Config{}, echo())
			p := sys.Opens()
			b := browses(t, sys)

			b.waits(p, proto)
			p.Says("4hello")

			if resp := b.hears(200, "4hello"); !resp.Close {
				t.Errorf("answered with %v", resp.Header)
			}
			if _, err := b.read.ReadByte(); err != io.EOF {
				t.Errorf("then %v", err)
			}
		})
	}
}

// Two polls at a time are a violation, for both: the one that waits is told, too.
func TestAPollThatWaitedMayEndInARefusal(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())
	p := sys.Opens()
	b := browses(t, sys)
	b.waits(p, "HTTP/1.1")
	refused := sys.Stats().Refused

	sys.Wants(p.Get(), 400, engineiotest.Bad)

	b.hears(200, "1")
	if now := sys.Stats().Refused - refused; now != 1 {
		t.Errorf("%d refusals", now)
	}
	if _, err := b.read.ReadByte(); err != io.EOF { // nothing more is expected of who broke the rules
		t.Errorf("then %v", err)
	}
}

// A client that goes while its poll waits loses what was for it, and nobody else does.
func TestAClientThatGoesWhileItsPollWaitsDisturbsNobody(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{PingInterval: 200 * time.Millisecond, PingTimeout: 200 * time.Millisecond}, echo())
	gone := sys.Opens()
	b := browses(t, sys)
	b.waits(gone, "HTTP/1.1")
	_ = b.Close()

	p := sys.Opens()
	later := p.Polls()
	p.Says("4still here")
	sys.Wants(<-later, 200, "4still here")
	gone.IsOver()
}

// What was for a client that cannot be answered is lost, so it must not go on as if it had it.
func TestASessionWhoseAnswerCannotBeWrittenIsOver(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	var session atomic.Pointer[engineio.Session]
	sys := serve(t, engineio.Config{}, guests{
		open:   func(s *engineio.Session) { session.Store(s) },
		closed: func(_ *engineio.Session, err error) { ended <- err },
	})
	p := sys.Opens()
	b := browses(t, sys)
	b.waits(p, "HTTP/1.1")
	_ = b.Conn.(*net.TCPConn).SetLinger(0) // so that the server's kernel hears of it
	_ = b.Close()
	time.Sleep(20 * time.Millisecond)

	_ = session.Load().Send(engineio.AppendMessage(nil, []byte("hello")))

	select {
	case err := <-ended:
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	sys.Wants(p.Get(), 400, engineiotest.Unknown)
}

func TestPollsThatWaitHaveNoGoroutines(t *testing.T) { // not parallel: it counts goroutines
	sys := serve(t, engineio.Config{}, echo())
	const polls = 200
	before := runtime.NumGoroutine()
	sessions := make([]engineiotest.Poller, polls)
	waiting := make([]*browser, polls)
	for i := range sessions {
		sessions[i], waiting[i] = sys.Opens(), browses(t, sys)
		waiting[i].waits(sessions[i], "HTTP/1.1")
	}

	sockettest.Eventually(t, "no goroutine waits", func() bool { return runtime.NumGoroutine() < before+polls/4 })
	for i, p := range sessions {
		p.Says("4hello")
		waiting[i].hears(200, "4hello")
	}
}

// The answers to the polls that end with the server are written before it says that it is done.
func TestAServerThatEndsAnswersThePollsThatWait(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())
	b := browses(t, sys)
	b.waits(sys.Opens(), "HTTP/1.1")
	if err := sys.Sockets.Drain(t.Context(), time.Millisecond, 1012, func() string { return "" }); err != nil {
		t.Fatal(err)
	}

	sys.Settle(10 * time.Second)

	_ = b.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // it is on its way
	b.hears(200, "1")
}
