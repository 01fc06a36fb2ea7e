package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
)

var errNoAddress = errors.New("no address of this machine leads to Redis")

// advertised says under which address other edges reach this one: as configured, or the port listened on at the address
// listened on or, if that is any, at the one that leads to Redis, which can be told when the name of Redis can be resolved.
// It is nil for an edge without a listener of its own.
func (e *Edge) advertised(redis []string) func(context.Context) (string, error) {
	known := func(address string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return address, nil }
	}
	if host, port, err := net.SplitHostPort(e.cfg.Advertise); err == nil {
		return known(net.JoinHostPort(host, port)) // an IPv4 address may have come in brackets
	}
	if e.listener == nil {
		return nil
	}
	own, ok := e.listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	if !own.IP.IsUnspecified() {
		return known(own.String())
	}
	return func(ctx context.Context) (string, error) {
		local, err := towards(ctx, redis)
		if err != nil {
			return "", err
		}
		return (&net.TCPAddr{IP: local, Port: own.Port}).String(), nil
	}
}

// towards is this machine's address on the way to one of some hosts. Nothing is sent to them, but their names are looked up.
func towards(ctx context.Context, hosts []string) (net.IP, error) {
	err := errNoAddress
	for _, host := range hosts {
		conn, failed := new(net.Dialer).DialContext(ctx, "udp", host)
		if failed != nil {
			err = fmt.Errorf("%w: %w", errNoAddress, failed)
			continue
		}
		local, ok := conn.LocalAddr().(*net.UDPAddr)
		_ = conn.Close() // nothing was sent
		if ok {
			return local.IP, nil
		}
	}
	return nil, err
}
