package daemon_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/talus-tally/talus/pkg/daemon"
)

func TestATaskRunsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	var task daemon.Task
	reason := errors.New("asked to")
	task.Start(func(ctx context.Context) error {
		<-ctx.Done()
		return reason
	})

	select {
	case <-task.Ended():
		t.Fatal("it ended by itself")
	default:
	}
	if err := task.Stop(); !errors.Is(err, reason) {
		t.Fatalf("got %v", err)
	}
	if err := task.Stop(); !errors.Is(err, reason) {
		t.Fatalf("the second time got %v", err)
	}
}

func TestATaskThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	var task daemon.Task
	task.Start(func(context.Context) error { return errors.New("broken") })

	<-task.Ended()

	if err := task.Stop(); err == nil {
		t.Fatal("want its error")
	}
}

func TestATaskThatWasNotStartedIsStoppedAlready(t *testing.T) {
	t.Parallel()
	var task daemon.Task
	if err := task.Stop(); err != nil || task.Ended() != nil {
		t.Fatalf("got %v", err)
	}
}

func TestListenersOnAllAddressesAreReachedOverLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[net.Addr]string{
		&net.TCPAddr{IP: net.IPv4zero, Port: 80}:             "http://127.0.0.1:80",
		&net.TCPAddr{IP: net.IPv6unspecified, Port: 80}:      "http://127.0.0.1:80",
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 8081}: "http://127.0.0.2:8081",
		&net.TCPAddr{IP: net.IPv6loopback, Port: 8081}:       "http://[::1]:8081",
		&net.UnixAddr{Name: "/run/x", Net: "unix"}:           "",
	} {
		if got := daemon.URL(addr); got != want {
			t.Errorf("%v: got %q, want %q", addr, got, want)
		}
	}
}
