package engineio

import (
	"encoding/base64"
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

// maxPackets is how many a response has; Python's clients accept no more.
const maxPackets = 16

// separator stands between the packets of a body.
var separator = []byte{0x1E}

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

// cut takes one frame from the front of b. It panics if there is none: frames are made here.
func cut(b []byte) (op frame.Opcode, payload []byte, size int) {
	if op, payload, size = frame.Next(b); size == 0 {
		panic("engineio: what is sent is not whole frames")
	}
	return op, payload, size
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
