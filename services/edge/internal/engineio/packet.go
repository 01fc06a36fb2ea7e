package engineio

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// The packet types, the first character of a text packet (part 1.3); 'b' stands for binary messages in text.
const (
	typeOpen    = '0'
	typeClose   = '1'
	typePing    = '2'
	typePong    = '3'
	typeMessage = '4'
	typeUpgrade = '5'
	typeNoop    = '6'
	typeBase64  = 'b'
)

const (
	separator  = 0x1E // between the packets of a body
	maxPackets = 16   // of a response; Python's clients accept no more
)

// The frames of the packets that have no content.
var (
	pingFrame  = frame.AppendText(nil, []byte{typePing})
	probeFrame = frame.AppendText(nil, []byte("3probe"))
)

// AppendHeader appends the beginning of a text message of size bytes, which are to follow. All of a session's frames
// are WebSocket frames, whatever its transport.
func AppendHeader(dst []byte, size int) []byte {
	return append(frame.AppendHeader(dst, frame.Text, size+1), typeMessage)
}

// AppendMessage appends the frame of a text message.
func AppendMessage(dst, payload []byte) []byte {
	return append(AppendHeader(dst, len(payload)), payload...)
}

// AppendBinary appends the frame of a binary message.
func AppendBinary(dst, payload []byte) []byte { return frame.Append(dst, frame.Binary, payload) }

// cut takes one whole server frame from the front of b and returns its size. It panics if there is none: frames are made here.
func cut(b []byte) (op frame.Opcode, payload []byte, size int) {
	op = frame.Opcode(b[0] & 0x0F)
	start, n := 2, int(b[1])
	switch n {
	case 126:
		start, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		start, n = 10, int(binary.BigEndian.Uint64(b[2:]))
	}
	return op, b[start : start+n], start + n
}

// packetSize is the size of a frame's payload as a packet in a body.
func packetSize(op frame.Opcode, payload []byte) int {
	if op == frame.Binary {
		return 1 + base64.StdEncoding.EncodedLen(len(payload))
	}
	return len(payload)
}

// appendPacket appends a frame's payload as a packet of a body. A close frame is a close packet.
func appendPacket(dst []byte, op frame.Opcode, payload []byte) []byte {
	switch op {
	case frame.Text:
		return append(dst, payload...)
	case frame.Binary:
		return base64.StdEncoding.AppendEncode(append(dst, typeBase64), payload)
	default:
		return append(dst, typeClose)
	}
}

// inText returns frames with binary messages as text ones, for peers that cannot take others.
func inText(frames []byte) []byte {
	var text []byte
	for len(frames) > 0 {
		op, payload, size := cut(frames)
		if op == frame.Binary {
			text = frame.AppendText(text, appendPacket(nil, op, payload))
		} else {
			text = append(text, frames[:size]...)
		}
		frames = frames[size:]
	}
	return text
}

// nextPacket takes a packet from the front of a body. More is false after the last one.
func nextPacket(body []byte) (packet, rest []byte, more bool) { return cutByte(body, separator) }

func cutByte(b []byte, sep byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// framing is how the machine of a connection ends one that carries a session.
type framing struct{}

// AppendBeat implements socket.Framing. It is never called: sessions have a heartbeat of their own.
func (framing) AppendBeat(dst []byte) []byte { return dst }

// AppendClose implements socket.Framing.
func (framing) AppendClose(dst []byte, _ bool, code int, reason string) []byte {
	return frame.AppendClose(dst, code, reason)
}

// appendString appends text as JSON.
func appendString(dst []byte, text string) []byte {
	b, _ := json.Marshal(text) // a string always has a JSON form
	return append(dst, b...)
}
