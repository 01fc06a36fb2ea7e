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
	if _, bare := server.(*net.TCPConn); !bare {
		t.Errorf("the connection is wrapped: %T", server)
	}
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener accepts with %v", err)
	}
}
