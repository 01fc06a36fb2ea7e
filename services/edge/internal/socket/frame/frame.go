// Package frame is the codec of RFC 6455 as the edge needs it: it writes server frames and takes client frames out of a
// byte stream that arrives in pieces of any size. It promises that a payload it hands out is a whole, unmasked message,
// and that a stream that breaks the protocol is answered with the close code the RFC asks for. It does no I/O, starts
// no goroutine, knows no extension (a reserved bit is a protocol error) and keeps no buffer between messages.
package frame

import "encoding/binary"

// Opcode is the kind of a frame, RFC 6455 section 5.2.
type Opcode byte

// The opcodes there are.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// The close codes this package answers with or must recognise, RFC 6455 section 7.4.1.
const (
	CodeNormal      = 1000
	CodeProtocol    = 1002
	CodeUnsupported = 1003
	CodeNoStatus    = 1005
	CodeInvalidText = 1007
	CodeTooBig      = 1009
)

// MaxControl is the largest payload of a control frame in bytes, RFC 6455 section 5.5.
const MaxControl = 125

// MaxReason is the largest reason of a close frame in bytes: what MaxControl leaves beside the code.
const MaxReason = MaxControl - 2

const (
	final    = 0x80
	reserved = 0x70
	masked   = 0x80
)

// Append adds one unfragmented server frame, header and payload, to dst.
func Append(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendHeader adds the header of an unfragmented server frame whose payload, of n bytes, the caller appends.
func AppendHeader(dst []byte, op Opcode, n int) []byte {
	dst = append(dst, final|byte(op))
	switch {
	case n <= 125:
		dst = append(dst, byte(n))
	case n <= 0xFFFF:
		dst = append(dst, 126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// AppendText adds payload as one text frame to dst.
func AppendText(dst, payload []byte) []byte { return Append(dst, Text, payload) }

// AppendClose adds a close frame to dst. A reason longer than MaxReason bytes is cut at a character; CodeNoStatus makes
// an empty close frame, as the RFC forbids that number on the wire.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == CodeNoStatus {
		return Append(dst, Close, nil)
	}
	var payload [MaxControl]byte
	binary.BigEndian.PutUint16(payload[:], uint16(code))
	n := copy(payload[2:], cut(reason))
	return Append(dst, Close, payload[:2+n])
}

// cut shortens s to MaxReason bytes without dividing a character.
func cut(s string) string {
	if len(s) <= MaxReason {
		return s
	}
	n := MaxReason
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
