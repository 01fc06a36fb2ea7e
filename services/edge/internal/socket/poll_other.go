//go:build !linux

package socket

import (
	"io"
	"net"
)

// poller does not exist on this system: every connection has goroutines of its own.
type poller struct{}

func newPollers(Config, *registry) ([]*poller, error) { return nil, nil }

func (*poller) run() error { return nil }

func (*poller) stop() {}

func (*Server) adopt(*net.TCPConn, io.Reader, Opening, *Kind) bool { return false }
