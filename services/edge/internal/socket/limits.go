package socket

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/rate"
)

// Limits bound what peers may use. A zero field sets no bound.
type Limits struct {
	// Connections may be open at a time.
	Connections int
	// PerAddress is how many of them may come from one client address. An IPv6 address counts as its /64 network, which
	// is what one client has.
	PerAddress int
	// Messages bounds the messages and pings of each connection.
	Messages rate.Limit
	// JoinWithin is how long a connection may be open without having had a subscription.
	JoinWithin time.Duration
	// Refused is called with each refusal; it must not block. May be nil.
	Refused func(Refusal)
}

// Refusal says why a peer was not let in or was sent away.
type Refusal string

// The refusals of the transport.
const (
	Full     Refusal = "connections"   // before the upgrade 503, after it 4100
	Crowded  Refusal = "address"       // before the upgrade 429, after it 4101
	Draining Refusal = "draining"      // before the upgrade 503, after it 1012
	Flood    Refusal = "message_rate"  // 4101
	TooBig   Refusal = "message_size"  // 1009
	Joinless Refusal = "join_deadline" // 4008
)

func (l Limits) refused(r Refusal) {
	if l.Refused != nil {
		l.Refused(r)
	}
}

// Answer is the refusal of a request, with the header that says when to come back.
func (r Refusal) Answer(c *fiber.Ctx) error {
	switch r {
	case Crowded:
		c.Set(fiber.HeaderRetryAfter, "10")
		return fiber.NewError(fiber.StatusTooManyRequests, "too many connections from this address")
	case Full:
		c.Set(fiber.HeaderRetryAfter, "5")
		return fiber.NewError(fiber.StatusServiceUnavailable, "this instance has no room for more connections")
	default:
		c.Set(fiber.HeaderRetryAfter, "1")
		return fiber.NewError(fiber.StatusServiceUnavailable, "this instance is stopping")
	}
}

// farewell is how a connection ends that found the door shut after it had been upgraded.
func (r Refusal) farewell(quit closure) (code int, reason string) {
	switch r {
	case Crowded:
		return codeRate, "too many connections from this address"
	case Full:
		return codeOverloaded, "no room for more connections"
	default:
		return quit.code, quit.reason
	}
}

// household is what connections are counted by: an IPv4 address or an IPv6 /64 network. The two cannot meet: the
// networks whose first half begins with 32 zero bits are reserved (RFC 4291, section 2.4).
type household uint64

func householdOf(a netip.Addr) household {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return household(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16() // all zero for no address at all
	return household(binary.BigEndian.Uint64(b[:8]))
}

// peerAddress is the address of the peer of a request, zero if it has none.
func peerAddress(c *fiber.Ctx) netip.Addr {
	if tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// Afford reports whether the peer may send one more message or ping; if not, the connection is closed. Only the goroutine
// that reads may call it.
func (c *Conn) Afford() bool {
	if c.rules.pace.Take(&c.budget) {
		return true
	}
	c.deaf = true
	c.rules.limits.refused(Flood)
	c.Close(codeRate, "too many messages")
	return false
}

// Await gives the connection its time to join anew. The protocol calls it when a join failed for a reason of this side.
func (c *Conn) Await() { c.waiting.Store(max(c.rules.clock.Load(), 1)) }

// joinless says whether the connection has had its time to join and has not. Only the wheel calls it.
func (c *Conn) joinless(now, within uint32) bool {
	began := c.waiting.Load()
	if within == 0 || began == 0 || since(now, began) < within {
		return false
	}
	if c.queue.attached() {
		c.waiting.Store(0) // once is enough
		return false
	}
	return true
}
