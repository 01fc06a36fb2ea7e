package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// plain is a framing that shows what it was asked.
type plain struct{}

func (plain) AppendBeat(dst []byte) []byte { return append(dst, "beat;"...) }

func (plain) AppendClose(dst []byte, begun bool, code int, reason string) []byte {
	return fmt.Appendf(dst, "end %v %d %s;", begun, code, reason)
}

// bubble runs a server without sockets; the returned function ends it.
func bubble(t *testing.T) (*socket.Server, func()) {
	t.Helper()
	s, err := socket.New(socket.Config{Blocking: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestNoHijackedConnectionIsSilentForLongerThanABeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, end := bubble(t)
		near, far := net.Pipe()
		opened := make(chan *socket.Conn, 1)
		go s.Take(near, plain{}, guests{open: func(c *socket.Conn, _ socket.Opening) { opened <- c }})
		c := <-opened
		buf := make([]byte, 64)
		hears := func(want string, least, most time.Duration) {
			t.Helper()
			began := time.Now()
			n, err := far.Read(buf)
			if took := time.Since(began); string(buf[:n]) != want || took < least || took > most {
				t.Errorf("%q (%v) after %v, want %q", buf[:n], err, took, want)
			}
		}

		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		hears("", time.Minute, time.Minute) // nothing goes before what the client says first
		_ = far.SetReadDeadline(time.Time{})
		time.Sleep(time.Second) // not at the moment of a tick, which may come before or after
		go func() { _ = c.Send([]byte("head;")) }()
		hears("head;", 0, 0)
		for range 4 {
			hears("beat;", 10*time.Second, 15*time.Second)
		}
		time.Sleep(5 * time.Second)
		go func() { _ = c.Send([]byte("news;")) }()
		hears("news;", 0, 0)
		hears("beat;", 10*time.Second, 15*time.Second)
		c.Close(4004, "gone")
		hears("end true 4004 gone;", 0, 0)
		_ = far.Close()
		end()
	})
}

func TestAPeerThatTakesNoBeatIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, end := bubble(t)
		near, far := net.Pipe()
		ended := make(chan error, 1)
		began := time.Now()
		go s.Take(near, plain{}, guests{
			open:   func(c *socket.Conn, _ socket.Opening) { _ = c.Send([]byte("head;")) },
			closed: func(_ *socket.Conn, err error) { ended <- err },
		})
		if _, err := io.ReadFull(far, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}

		err := <-ended

		if took := time.Since(began); !errors.Is(err, socket.ErrSlow) || took > 30*time.Second {
			t.Errorf("ended with %v after %v", err, took)
		}
		end()
	})
}

func TestAHijackedRequestIsAnsweredByItsClientAlone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		t := on.T
		opened := make(chan *socket.Conn, 3)
		ended := make(chan error, 3)
		openings := make(chan socket.Opening, 3)
		_, addr := serve(t, on.cfg, guests{
			open:    func(c *socket.Conn, o socket.Opening) { opened <- c; openings <- o },
			message: func(_ *socket.Conn, payload []byte) { t.Errorf("a message came: %q", payload) },
			closed:  func(_ *socket.Conn, err error) { ended <- err },
		})
		asks := func() net.Conn {
			t.Helper()
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = nc.Close() })
			_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
			// a frame that would be a message of a WebSocket client is nothing here
			if _, err := io.WriteString(nc, "GET /stream?a=1 HTTP/1.0\r\n\r\n"+string(sockettest.Mask(0x81, "hello"))+strings.Repeat("noise", 1000)); err != nil {
				t.Fatal(err)
			}
			return nc
		}

		first := asks()
		c := <-opened
		if o := <-openings; o.Query.Get("a") != "1" || !o.Remote.IsValid() {
			t.Errorf("opening %+v", o)
		}
		_ = c.Send([]byte("all of it;"))
		c.Close(1000, "done")
		if text, err := io.ReadAll(first); string(text) != "all of it;end true 1000 done;" || err != nil {
			t.Errorf("got %q, %v", text, err)
		}
		_ = first.Close()
		var closing *socket.CloseError
		if err := <-ended; !errors.As(err, &closing) || closing.Code != 1000 || closing.Peer {
			t.Errorf("ended with %v", err)
		}

		second := asks()
		(<-opened).Close(4004, "never begun")
		if text, err := io.ReadAll(second); string(text) != "end false 4004 never begun;" || err != nil {
			t.Errorf("got %q, %v", text, err)
		}
		<-ended

		third := asks()
		<-opened
		_ = third.(*net.TCPConn).CloseWrite()
		if err := <-ended; !errors.Is(err, socket.ErrGone) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestAClosingServerHijacksNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(on scene) {
		s, addr := serve(on, on.cfg, guests{})
		if err := s.Drain(on.Context(), 0, 1012, func() string { return "" }); err != nil {
			on.Fatal(err)
		}

		req, err := http.NewRequestWithContext(on.Context(), http.MethodGet, "http://"+addr+"/stream", nil)
		if err != nil {
			on.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)

		if err != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			on.Errorf("answer %+v, %v", res, err)
		}
		if res != nil {
			res.Body.Close()
		}
	})
}

func TestEveryEndHasACause(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"4004": &socket.CloseError{Code: 4004}, "1000": &socket.CloseError{Code: 1000, Peer: true}, "unknown": &socket.CloseError{Code: 3333},
		"slow": socket.ErrSlow, "silent": socket.ErrSilent, "gone": fmt.Errorf("read: %w", socket.ErrGone),
		"overflow": socket.ErrOverflow, "other": errors.New("x"),
	} {
		if got := socket.Cause(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}
