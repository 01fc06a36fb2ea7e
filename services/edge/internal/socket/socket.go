// Package socket is the edge's transport: connections (WebSocket, and plain HTTP responses without an end) that cost no
// goroutine and no buffer while they are idle, and the machine that decides who may write to each of them. It knows
// nothing of sessions, JSON or Redis.
//
// It promises: frames are never interleaved; the frames of one slot (one subscription) leave in the order of their
// versions, each exactly once; a byte meant for one connection is never written to another, also when the kernel uses
// a descriptor's number again; no call blocks, so a slow peer never holds up a fan-out. It does not promise that a
// close frame arrives (it cannot follow an unfinished frame), nor any order between two slots of one connection.
//
// Goroutines, all owned by Server.Run: the pollers (they read, parse and call Client), the writers (they continue
// catch-up work that a fan-out inherited) and the wheel (pings and deadlines). A connection that is not a plain TCP
// socket, or any connection on a system other than Linux, has a reader on the stack of its HTTP handler and one writer.
package socket

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
)

// MaxSlots is the number of subscriptions that one connection may hold.
const MaxSlots = 16

// Errors that Conn's methods return and Client.Closed reports.
var (
	// ErrClosed: the connection is closing or closed; nothing was queued.
	ErrClosed = errors.New("socket: connection is closing")
	// ErrNoSlot: all MaxSlots subscriptions are in use.
	ErrNoSlot = errors.New("socket: no free slot")
	// ErrOverflow: the peer does not take its control frames; the connection is being closed.
	ErrOverflow = errors.New("socket: control queue is full")
	// ErrGone: the peer closed the TCP connection, or it broke, without a close frame.
	ErrGone = errors.New("socket: peer is gone")
	// ErrSilent: the peer did not answer a ping in time.
	ErrSilent = errors.New("socket: peer is silent")
	// ErrSlow: the peer took no bytes for too long, or fell off the ring again and again.
	ErrSlow = errors.New("socket: peer is too slow")
)

// CloseError says that a connection ended with a closing handshake.
type CloseError struct {
	Code   int    // the close code, 1005 when the peer sent none
	Reason string // at most 123 bytes
	Peer   bool   // true: the peer began; false: this side did
}

// Error names the code and who began.
func (e *CloseError) Error() string {
	who := "server"
	if e.Peer {
		who = "peer"
	}
	return fmt.Sprintf("socket: closed by %s with %d %q", who, e.Code, e.Reason)
}

// Cause names in one word why a connection ended, from the error that Client.Closed was called with: the close code,
// gone, overflow, silent, slow or other. Codes that peers make up are one: unknown.
func Cause(err error) string {
	var closing *CloseError
	switch {
	case errors.As(err, &closing):
		if code := closing.Code; code >= 1000 && code <= 1015 || code >= 4000 && code <= 4299 {
			return strconv.Itoa(code)
		}
		return "unknown"
	case errors.Is(err, ErrSlow):
		return "slow"
	case errors.Is(err, ErrSilent):
		return "silent"
	case errors.Is(err, ErrGone):
		return "gone"
	case errors.Is(err, ErrOverflow):
		return "overflow"
	default:
		return "other"
	}
}

// Opening is what is known of a connection when it opens. All of it is a copy and may be kept.
type Opening struct {
	Remote   netip.AddrPort // the peer as the socket knows it; zero if it is not an IP address
	Address  netip.Addr     // the client: the peer, or whom the proxies in front name (Config.Address)
	Query    url.Values     // the query of the request
	Protocol string         // the agreed subprotocol; empty if none was offered
}

// Handler accepts connections.
type Handler interface {
	// Open is called once per connection, before any byte of the peer is looked at. It returns who receives its
	// messages. It may call any method of c (frames it sends leave after it has returned) and must not block.
	Open(c *Conn, o Opening) Client
}

// Client receives what one peer sends. Its methods are called one after the other, never concurrently, and must not
// block: they run on the goroutine that reads many connections.
type Client interface {
	// Message is called with each whole text message, valid UTF-8. The payload is valid only during the call.
	Message(payload []byte)
	// Closed is called once, as the last call, when the connection is gone. No room may hold the connection longer.
	Closed(err error)
}

// BinaryClient is a Client that understands binary messages, too; see Kind.Binary.
type BinaryClient interface {
	Client
	// Binary is called with each whole binary message. The payload is valid only during the call.
	Binary(payload []byte)
}

// Keeper is a Client that judges itself whether its peer is alive.
type Keeper interface {
	Client
	// Visit is called now and then, at least every Config.VisitEvery, instead of looking for silence, sending pings and
	// asking for a subscription. It must not block.
	Visit()
}

// Stream is one room as its connections read it: a ring of complete frames, one per version. Methods are called by
// whoever may write to the connection at that moment, any number of goroutines at a time, and must not block.
type Stream interface {
	// Head is the newest version in the ring, 0 if there is none yet. A version is in the ring before Conn.Deliver is
	// called for it.
	Head() uint64
	// Frame returns the complete bytes (WebSocket header and the like included) of a version, nil when it is not in the ring or no
	// longer. The bytes are shared and never modified.
	Frame(version uint64) []byte
	// Latest returns complete frames with the room's states that are newer than told, nil if there is none, and what a slot
	// that was sent them has been told. They are sent to a slot that could not take the frame of a state when it came.
	Latest(told Told) ([]byte, Told)
	// Refill says that the slot stands at after and that after+1 has left the ring. The room reads the log and answers
	// with Conn.Supply or Conn.Resync. Refill must not take a lock that is held around calls to Conn: it posts and returns.
	Refill(c *Conn, slot Slot, after uint64)
}

// Topics is the number of things that a room tells in frames without a version: its status, who is there, other events. What
// of a topic a slot has missed, be it the newest frame or several, is Stream.Latest's to say.
const Topics = 3

// State says what such a frame tells; of two with the same topic the one with the greater number is newer. Number 0 is for a
// frame that who cannot take it goes without.
type State struct {
	Topic  uint8
	Number uint64
}

// Told holds, by topic, the number of the newest state that a slot was sent.
type Told [Topics]uint64

// Slot names one subscription of one connection. The zero Slot names none. It is a value: compare it, keep it.
type Slot struct {
	index uint8
	gen   uint32
}
