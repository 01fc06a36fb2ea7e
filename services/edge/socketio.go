package edge

import (
	"crypto/sha256"
	"net"
	"net/url"
	"strings"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/graphio"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// maxPayload is the largest message of a Socket.IO client in bytes, which every client is told.
const maxPayload = 1_000_000

// assembleSocketIO makes the namespace /graph and what is below it.
func (e *Edge) assembleSocketIO() (err error) {
	limits := e.door.requests(e.cfg)
	e.graph = graphio.New(graphio.Config{
		Hub: e.hub, Commands: e.commands, Key: e.key(), Problem: problemOf,
		Sessions: limits.Sessions, Joins: limits.Joins, Refused: limits.Refused,
	}, e.registry, e.log)
	packets := socketio.New(socketio.Config{ConnectTimeout: e.cfg.JoinWithin},
		map[string]socketio.Namespace{graphevent.Namespace: e.graph})
	e.polls, err = engineio.New(engineio.Config{
		MaxPayload: maxPayload, Origins: e.door.origins, Credentials: true,
		NewID:   func() string { return e.relay.SessionID(engineio.RandomID()) },
		Unknown: e.relay.Pass,
	}, e.sockets, packets)
	return err
}

// key is what signs the tokens of Socket.IO clients: the operator's secret, or the one that all edges find in Redis.
func (e *Edge) key() func() []byte {
	if e.cfg.Secret == "" {
		return e.relay.Secret
	}
	sum := sha256.Sum256([]byte(e.cfg.Secret))
	return func() []byte { return sum[:] }
}

// advertised is the address under which other edges reach this one: as configured, or the port listened on at the address
// listened on or, if that is any, at the one that leads to Redis. It is empty for an edge without a listener of its own.
func (e *Edge) advertised() string {
	if e.cfg.Advertise != "" || e.listener == nil {
		return e.cfg.Advertise
	}
	own, ok := e.listener.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	if !own.IP.IsUnspecified() {
		return own.String()
	}
	local := *own
	local.IP = towards(e.cfg.RedisURL)
	return local.String()
}

// towards is this machine's address on the way to the host of a URL; the loopback if that cannot be told. Nothing is sent.
func towards(target string) net.IP {
	u, err := url.Parse(target)
	if err != nil {
		return net.IPv4(127, 0, 0, 1)
	}
	host, _, _ := strings.Cut(u.Host, ",") // the first of several
	name := (&url.URL{Host: host}).Hostname()
	conn, err := net.Dial("udp", net.JoinHostPort(name, "6379"))
	if err != nil {
		return net.IPv4(127, 0, 0, 1)
	}
	defer conn.Close()
	if local, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		return local.IP
	}
	return net.IPv4(127, 0, 0, 1)
}
