package socket_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// crowdKey makes the test binary a crowd of clients: "<address> <connections> <bytes of a round>".
const crowdKey = "TALUS_TEST_CROWD"

func TestMain(m *testing.M) {
	if order := os.Getenv(crowdKey); order != "" {
		if err := crowd(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// crowd connects and reads. It writes a line when all are connected, and one whenever all have read a round together.
// It ends with its standard input.
func crowd(order string) error {
	var addr string
	var n, round int
	if _, err := fmt.Sscan(order, &addr, &n, &round); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	set, err := unix.EpollCreate1(0)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, n)
	for i := range conns {
		if conns[i], err = arrive(addr, set); err != nil {
			return err
		}
	}
	fmt.Println("connected")
	buf := make([]byte, 1<<20)
	events := make([]unix.EpollEvent, 256)
	for total := 0; ; {
		k, err := unix.EpollWait(set, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, ev := range events[:max(k, 0)] {
			got, _ := unix.Read(int(ev.Fd), buf)
			total += max(got, 0)
		}
		for ; round > 0 && total >= round*n; total -= round * n {
			fmt.Println("round")
		}
	}
}

// arrive upgrades one connection and adds it to the epoll set.
func arrive(addr string, set int) (net.Conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(nc, sockettest.Handshake("/ws")); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(nc, 512)
	for line := "x"; strings.TrimSpace(line) != ""; {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.EpollCtl(set, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	})
	return nc, err
}

// gather starts a crowd in another process, so that the figures of this one are the server's own, and returns a
// function that waits for its next line.
func gather(b *testing.B, addr string, n, round int) (wait func()) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", crowdKey, addr, n, round))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	return func() {
		if !lines.Scan() {
			b.Fatal("the crowd is gone")
		}
	}
}
