package follow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Kind says what a piece of a stream means to a client.
type Kind uint8

// The kinds of pieces. What a client may ignore is Other.
const (
	Other Kind = iota
	Commit
	Joined
	Resync
	Answer   // Text is to be sent back
	Farewell // the server ends the stream with Code
)

// Piece is the first complete part of a stream. Size 0 means that more bytes are needed.
type Piece struct {
	Kind Kind
	Size int    // bytes of the stream
	Text []byte // JSON, or what to answer
	Code int    // of a Farewell, as over WebSocket
	Last bool   // of a Commit: no more pieces of this version follow
}

// Dialect is a way in which an edge speaks to clients.
type Dialect interface {
	Name() string
	// Request is what a client sends first. After is the position to resume from, empty for live.
	Request(host, session, after string) []byte
	// Accepts says whether an HTTP status begins the stream.
	Accepts(status int) bool
	// Next reads one piece of a session's stream.
	Next(session string, b []byte) (Piece, error)
	// Chained says whether commits carry prev and position, so that a client can come back and resume.
	Chained() bool
}

// Native is the WebSocket protocol of api.md, part 8.
type Native struct{}

// Name implements Dialect.
func (Native) Name() string { return "native" }

// Chained implements Dialect.
func (Native) Chained() bool { return true }

// Accepts implements Dialect.
func (Native) Accepts(status int) bool { return status == 101 }

// Request implements Dialect.
func (Native) Request(host, session, after string) []byte {
	if after != "" {
		after = "&after=" + after
	}
	return upgrade(host, "/ws?session_id="+session+after)
}

// upgrade asks for a WebSocket.
func upgrade(host, target string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", target, host)
}

// Next implements Dialect.
func (Native) Next(_ string, b []byte) (Piece, error) {
	op, payload, size, err := message(b)
	if err != nil || size == 0 {
		return Piece{}, err
	}
	p := Piece{Size: size, Text: payload}
	if op == opText {
		p.Kind = kindOf(payload)
		p.Last = true
	} else {
		p.control(op, payload)
	}
	return p, nil
}

// control reads a control frame of RFC 6455.
func (p *Piece) control(op byte, payload []byte) {
	switch op {
	case opPing:
		p.Kind, p.Text = Answer, masked(opPong, payload)
	case opClose:
		p.Kind = Farewell
		if len(payload) >= 2 {
			p.Code = int(binary.BigEndian.Uint16(payload))
		}
	}
}

// kindOf reads the type of a native frame, which comes first in it.
func kindOf(text []byte) Kind {
	value, _ := member(text[:min(len(text), 24)], `{"type":"`)
	switch string(value) {
	case "commit":
		return Commit
	case "joined":
		return Joined
	case "resync":
		return Resync
	default:
		return Other
	}
}

// The opcodes of RFC 6455, section 5.2, that a server sends or a client answers with.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

var errFragment = errors.New("a fragmented or masked frame, or a reserved bit")

// message reads one unmasked, final WebSocket frame. Size 0 means that it is not complete.
func message(b []byte) (op byte, payload []byte, size int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	if b[0]&0xF0 != 0x80 || b[1]&0x80 != 0 {
		return 0, nil, 0, errFragment
	}
	head, length := 2, uint64(b[1])
	switch {
	case length == 126 && len(b) >= 4:
		head, length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		head, length = 10, binary.BigEndian.Uint64(b[2:])
	case length > 125:
		return 0, nil, 0, nil
	}
	if uint64(len(b)-head) < length {
		return 0, nil, 0, nil
	}
	size = head + int(length)
	return b[0] & 0x0F, b[head:size], size, nil
}

// masked is a client's frame of at most 65,535 bytes; its key is zero, so that the payload stays as it is.
func masked(op byte, payload []byte) []byte {
	b := append(make([]byte, 0, 8+len(payload)), 0x80|op)
	if len(payload) < 126 {
		b = append(b, 0x80|byte(len(payload)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(len(payload)))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// EventStream is the stream of server-sent events of api.md, part 9.
type EventStream struct{}

// Name implements Dialect.
func (EventStream) Name() string { return "sse" }

// Chained implements Dialect.
func (EventStream) Chained() bool { return true }

// Accepts implements Dialect.
func (EventStream) Accepts(status int) bool { return status == 200 }

// Request implements Dialect.
func (EventStream) Request(host, session, after string) []byte {
	if after != "" {
		after = "Last-Event-ID: " + after + "\r\n"
	}
	return fmt.Appendf(nil, "GET /sse?session_id=%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n%s\r\n", session, host, after)
}

// Next implements Dialect.
func (EventStream) Next(_ string, b []byte) (Piece, error) {
	end := bytes.Index(b, []byte("\n\n"))
	if end < 0 {
		return Piece{}, nil
	}
	p := Piece{Size: end + 2, Last: true}
	for line := range bytes.SplitSeq(b[:end], []byte("\n")) {
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "data":
			p.Text = value
		case "event":
			p.Kind = map[string]Kind{"commit": Commit, "joined": Joined, "resync": Resync, "closed": Farewell}[string(value)]
		}
	}
	if p.Kind == Farewell {
		code, _ := number(p.Text, `"close_code":`)
		p.Code = int(code)
	}
	return p, nil
}

// Head reads the head of an HTTP response: its size, 0 if it is not complete, and its status.
func Head(b []byte) (size, status int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, 0, nil
	}
	const line = "HTTP/1.1 200"
	if end < len(line) || !bytes.HasPrefix(b, []byte("HTTP/1.")) {
		return 0, 0, fmt.Errorf("%w: %.100q is no HTTP response", ErrGarble, b)
	}
	status, err = strconv.Atoi(string(b[len(line)-3 : len(line)]))
	return end + 4, status, err
}

// Dialects are those that Speak knows.
func Dialects() []Dialect {
	return []Dialect{Native{}, EventStream{}, SocketIO{}, SocketIO{Shipped: true}, Polling{}}
}

// Speak returns the dialect of a name; nil for no name.
func Speak(name string) (Dialect, error) {
	if name == "" {
		return nil, nil
	}
	for _, d := range Dialects() {
		if d.Name() == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%q is no dialect", name)
}
