package daemon_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/daemon"
)

func TestAConnectionThatSaysNothingFailsAtItsDeadline(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := daemon.Impatient(open, 50*time.Millisecond)
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	_, err = server.Read(make([]byte, 1))

	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the read ended with %v", err)
	}
	under, ok := server.(interface{ NetConn() net.Conn })
	if !ok {
		t.Fatalf("nothing leads from %T to the socket", server)
	}
	if _, bare := under.NetConn().(*net.TCPConn); !bare {
		t.Errorf("under it is a %T", under.NetConn())
	}
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener accepts with %v", err)
	}
}

func TestAClosedListenerLetsGoOfThoseWhoSayNothing(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := daemon.Impatient(open, time.Hour)
	accepts := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err = l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
		return client, server
	}
	_, silent := accepts()
	_, waiting := accepts()
	speaks, heard := accepts()
	buf := make([]byte, 1)
	if _, err := speaks.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	if _, err := heard.Read(buf); err != nil || buf[0] != 'a' {
		t.Fatalf("read %q, %v", buf, err)
	}

	_ = l.Close()
	_ = waiting.SetReadDeadline(time.Now().Add(time.Hour)) // as a server does that has only now got to it

	for what, c := range map[string]net.Conn{"the silent one": silent, "one that is given an hour": waiting} {
		if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: read ended with %v", what, err)
		}
	}
	if _, err := heard.Read(buf); err != nil || buf[0] != 'b' {
		t.Errorf("the one that spoke: %q, %v", buf, err)
	}
}

func TestAConnectionThatRestsIsSilentAgain(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := daemon.Impatient(open, time.Hour)
	speaks := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		if _, err := client.Write([]byte("a")); err != nil {
			t.Fatal(err)
		}
		if server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		if _, err := server.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	rests := func(c net.Conn, within time.Duration) error {
		return c.(interface{ Rest(time.Duration) error }).Rest(within)
	}
	_, short := speaks()
	_, long := speaks()
	client, again := speaks()

	if err := errors.Join(rests(short, 20*time.Millisecond), rests(long, time.Hour), rests(again, time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := short.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after its time a read ends with %v", err)
	}
	if _, err := client.Write([]byte("bc")); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Read(make([]byte, 1)); err != nil {
		t.Errorf("the next request: %v", err)
	}
	_ = l.Close()
	if _, err := long.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the listener was closed a read ends with %v", err)
	}
	if err := again.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Error(err)
	}
	if _, err := again.Read(make([]byte, 1)); err != nil {
		t.Errorf("who has spoken is not hurried: %v", err)
	}
	if err := rests(again, time.Hour); !errors.Is(err, net.ErrClosed) {
		t.Errorf("to rest when the listener is closed: %v", err)
	}
}
