package daemon

import (
	"context"
	"net"
	"net/url"
)

// Task is one of several things that run side by side and are stopped each in its turn. The zero value has not been
// started. It is used by one goroutine, but for Ended.
type Task struct {
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // valid when ended is closed
}

// Start runs f in a goroutine until Stop. Its context is not derived from another: the task ends in its turn, not when
// everything is asked to.
func (t *Task) Start(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel, t.ended = cancel, make(chan struct{})
	go func() {
		defer close(t.ended)
		t.err = f(ctx)
	}()
}

// Ended is closed when the task has returned, asked or not; nil, which blocks for ever, before Start.
func (t *Task) Ended() <-chan struct{} { return t.ended }

// Stop ends the task, waits for it and returns its error. A task that was not started has none.
func (t *Task) Stop() error {
	if t.cancel == nil {
		return nil
	}
	t.cancel()
	<-t.ended
	return t.err
}

// URL is where people reach what listens on addr, such as "http://127.0.0.1:8080": the loopback address for a listener on
// all addresses.
func URL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}).String()
}
