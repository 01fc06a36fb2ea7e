// Package socketio is a server of Socket.IO v5 (socketio.md, part 1) over sessions of Engine.IO: namespaces, events,
// acknowledgements both ways, binary attachments. It knows nothing of what the events say.
//
// It promises: packets of one namespace reach its Client in the order in which they came, none before the namespace has
// accepted the connection and none after it has left; each acknowledgement that a peer asked for is sent at most once; a
// peer that breaks the protocol loses its Engine.IO session, as the protocol asks for. It does not answer events by
// itself, and it does not encode arguments: they are JSON texts both ways, so what is known as bytes is passed on as
// bytes.
//
// It has no goroutines: it runs on those of the sessions, and on whoever answers a CONNECT.
package socketio

import (
	"cmp"
	"errors"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
)

// Errors that the methods of Socket and Ack return, and Client.Disconnected reports.
var (
	// ErrDisconnected: the peer is not, or no longer, connected to the namespace.
	ErrDisconnected = errors.New("socketio: not connected to the namespace")
	// ErrLeft: the peer left the namespace.
	ErrLeft = errors.New("socketio: the peer left the namespace")
	// ErrKicked: this side ended the connection to the namespace.
	ErrKicked = errors.New("socketio: sent away from the namespace")
	// ErrReserved: events cannot have this name; clients would drop the connection.
	ErrReserved = errors.New("socketio: reserved event name")
	// ErrAttachments: clients do not accept so many attachments.
	ErrAttachments = errors.New("socketio: too many attachments")
)

// Config is what an operator, or the protocol above, may decide. Zero values stand for the defaults.
type Config struct {
	// ConnectTimeout is how long a session may last that has not been connected to a namespace. Default 45 s; negative: for ever.
	ConnectTimeout time.Duration
	// MaxAttachments is the largest number of binary attachments of a packet, either way. Default 10, which is what
	// clients accept.
	MaxAttachments int
	// MaxAttachmentBytes is the largest size of a peer's packet's attachments together, and AttachTimeout how long they may
	// take to come. Defaults 10,000,000 bytes, which is what the reference takes, and 30 s.
	MaxAttachmentBytes int
	AttachTimeout      time.Duration
	// MaxDepth is how deep arrays and objects of a packet may be nested. Default 64.
	MaxDepth int
	// MaxArguments is how many elements the array of a packet may have, the name of the event among them. Default 1,000.
	MaxArguments int
	// MaxWaiting is how many packets, and MaxWaitingBytes how many bytes of memory they may take, before a namespace
	// has answered CONNECT. Defaults 256 and 1 MiB.
	MaxWaiting, MaxWaitingBytes int
}

func (cfg Config) withDefaults() Config {
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 45*time.Second)
	cfg.MaxAttachments = cmp.Or(cfg.MaxAttachments, 10)
	cfg.MaxAttachmentBytes = cmp.Or(cfg.MaxAttachmentBytes, 10_000_000)
	cfg.AttachTimeout = cmp.Or(cfg.AttachTimeout, 30*time.Second)
	cfg.MaxDepth = cmp.Or(cfg.MaxDepth, 64)
	cfg.MaxArguments = cmp.Or(cfg.MaxArguments, 1000)
	cfg.MaxWaiting = cmp.Or(cfg.MaxWaiting, 256)
	cfg.MaxWaitingBytes = cmp.Or(cfg.MaxWaitingBytes, 1<<20)
	return cfg
}

// Namespace decides about the peers that connect to it.
type Namespace interface {
	// Connect is called with each CONNECT. Auth is a JSON object, nil if there is none, valid only during the call. It
	// returns who receives the peer's packets, and must not block: it, or anybody later, answers with one call of
	// Socket.Accept or Socket.Refuse. Until then packets of the peer wait.
	Connect(s *Socket, auth []byte) Client
	// Attachments is the largest number of attachments of a peer's packet, at most Config.MaxAttachments. Who sends more
	// has broken the protocol.
	Attachments() int
}

// Client receives what one peer sends to one namespace. Its methods are called one after the other, never concurrently,
// and must not block.
type Client interface {
	// Event is called with each event, once the peer has been accepted.
	Event(e Event)
	// Disconnected is called once, as the last call, when the peer has left or is gone, also if that comes before an
	// answer to its CONNECT. It is not called if the peer was refused.
	Disconnected(err error)
}

// Event is one event of a peer. Args are JSON texts, valid only during the call. In them, {"_placeholder":true,"num":n}
// stands for Attachments[n], which may be kept.
type Event struct {
	Name        string // a name that is a number is in its JSON form
	Args        [][]byte
	Attachments [][]byte
	Ack         Ack
}

// Server takes in sessions and connects their peers to namespaces. It is immutable.
type Server struct {
	cfg        Config
	namespaces map[string]Namespace
}

// New makes a server of namespaces, which are called by names such as "/" and "/chat".
func New(cfg Config, namespaces map[string]Namespace) *Server {
	return &Server{cfg.withDefaults(), namespaces}
}

// Open implements engineio.Handler.
func (s *Server) Open(session *engineio.Session) engineio.Client {
	return &connection{server: s, session: session, joining: session.After(s.cfg.ConnectTimeout, session.Close)}
}
