package frame

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Sink receives what a Reader finds, in the order of the wire. Payloads are valid only during the call.
type Sink interface {
	Text(payload []byte)
	Binary(payload []byte) // only if Reader.Binary is set
	Ping(payload []byte)
	Pong()
	// Close is the peer's close frame; code is CodeNoStatus if it carried none. Nothing comes after it.
	Close(code int, reason string)
}

// Violation is a breach of the protocol. The connection must be closed with Code.
type Violation struct {
	Code   int
	Reason string
}

// Error names the code and what was wrong.
func (v *Violation) Error() string { return fmt.Sprintf("frame: %s (%d)", v.Reason, v.Code) }

// Reader takes messages out of one peer's bytes. The zero Reader is ready. While Idle it holds nothing of the stream
// and may serve another one.
type Reader struct {
	Binary bool // binary messages are understood; if not they are violations

	pending    []byte // the beginning of a frame whose end has not arrived
	message    []byte // the fragments of a message so far
	fragmented bool
	binary     bool // the message that is fragmented
	ended      bool // a close frame or a violation was seen: the rest is ignored
}

// keep is how much buffer, in bytes, an idle Reader may hold on to.
const keep = 16 << 10

// Idle says whether the stream stands between two messages.
func (r *Reader) Idle() bool { return len(r.pending) == 0 && !r.fragmented && !r.ended }

// Reset makes the Reader ready for another stream. Large buffers are let go.
func (r *Reader) Reset() {
	pending, message := r.pending[:0], r.message[:0]
	if cap(pending) > keep {
		pending = nil
	}
	if cap(message) > keep {
		message = nil
	}
	*r = Reader{pending: pending, message: message}
}

// Feed takes the next bytes of the stream and calls sink for all that is complete. A message may have limit bytes. Feed
// unmasks in place, so it changes data. The error is a *Violation; after it, and after Sink.Close, Feed ignores all.
func (r *Reader) Feed(data []byte, limit int, sink Sink) error {
	if r.ended {
		return nil
	}
	rest := data
	if len(r.pending) > 0 {
		r.pending = append(r.pending, data...)
		rest = r.pending
	}
	for {
		n, err := r.step(rest, limit, sink)
		if err != nil || r.ended {
			r.ended = true
			r.pending, r.message = nil, nil
			return err
		}
		if n == 0 {
			break
		}
		rest = rest[n:]
	}
	r.pending = append(r.pending[:0], rest...)
	return nil
}

// step takes one frame from the front of b and returns its length, 0 if it is not complete.
func (r *Reader) step(b []byte, limit int, sink Sink) (int, error) {
	h, err := r.header(b, limit)
	if err != nil || h.size == 0 || len(b) < h.size+h.length {
		return 0, err
	}
	payload := b[h.size : h.size+h.length]
	unmask(payload, b[h.size-4:h.size])
	if h.op&0x8 != 0 {
		err = r.control(h.op, payload, sink)
	} else {
		err = r.data(h, payload, sink)
	}
	return h.size + h.length, err
}

// header is a frame's header; size 0 means that it is not complete.
type header struct {
	op           Opcode
	fin          bool
	size, length int
}

// header parses and judges as much of a header as there is, so that a bad frame is refused before its payload comes.
func (r *Reader) header(b []byte, limit int) (header, error) {
	if len(b) < 2 {
		return header{}, nil
	}
	h := header{op: Opcode(b[0] & 0x0F), fin: b[0]&final != 0, size: 2 + 4}
	if err := r.judge(b[0], b[1], h); err != nil {
		return header{}, err
	}
	switch n := b[1] &^ masked; n {
	case 126:
		h.size += 2
		if len(b) < h.size {
			return header{}, nil
		}
		h.length = int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.size += 8
		if len(b) < h.size {
			return header{}, nil
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n >= 1<<63 {
			return header{}, &Violation{CodeProtocol, "length with its highest bit set"}
		}
		if n > uint64(limit) {
			return header{}, tooBig(limit)
		}
		h.length = int(n)
	default:
		if len(b) < h.size {
			return header{}, nil
		}
		h.length = int(n)
	}
	if h.op&0x8 == 0 && h.length > limit-len(r.message) {
		return header{}, tooBig(limit)
	}
	return h, nil
}

func tooBig(limit int) error {
	return &Violation{CodeTooBig, fmt.Sprintf("a message may have %d bytes", limit)}
}

// judge checks the rules that the first two bytes of a frame decide, RFC 6455 sections 5.1, 5.2, 5.4 and 5.5.
func (r *Reader) judge(first, second byte, h header) error {
	switch {
	case first&reserved != 0:
		return &Violation{CodeProtocol, "reserved bit without an extension"}
	case second&masked == 0:
		return &Violation{CodeProtocol, "frame is not masked"}
	}
	switch h.op {
	case Close, Ping, Pong:
		if !h.fin || second&^masked > MaxControl {
			return &Violation{CodeProtocol, "control frame is fragmented or too long"}
		}
	case Binary, Text:
		if h.op == Binary && !r.Binary {
			return &Violation{CodeUnsupported, "binary messages are not understood"}
		}
		if r.fragmented {
			return &Violation{CodeProtocol, "message begins inside another"}
		}
	case Continuation:
		if !r.fragmented {
			return &Violation{CodeProtocol, "continuation of nothing"}
		}
	default:
		return &Violation{CodeProtocol, "unknown opcode"}
	}
	return nil
}

func (r *Reader) control(op Opcode, payload []byte, sink Sink) error {
	switch op {
	case Ping:
		sink.Ping(payload)
	case Pong:
		sink.Pong()
	case Close:
		code, reason, err := parseClose(payload)
		if err != nil {
			return err
		}
		r.ended = true
		sink.Close(code, reason)
	}
	return nil
}

func (r *Reader) data(h header, payload []byte, sink Sink) error {
	if h.fin && !r.fragmented {
		return message(h.op == Binary, payload, sink)
	}
	if !r.fragmented {
		r.fragmented, r.binary = true, h.op == Binary
	}
	r.message = append(r.message, payload...)
	if !h.fin {
		return nil
	}
	err := message(r.binary, r.message, sink)
	r.fragmented = false
	r.message = r.message[:0]
	return err
}

func message(binary bool, payload []byte, sink Sink) error {
	if binary {
		sink.Binary(payload)
		return nil
	}
	if !utf8.Valid(payload) {
		return &Violation{CodeInvalidText, "text is not UTF-8"}
	}
	sink.Text(payload)
	return nil
}

func parseClose(payload []byte) (int, string, error) {
	if len(payload) == 0 {
		return CodeNoStatus, "", nil
	}
	if len(payload) == 1 {
		return 0, "", &Violation{CodeProtocol, "close frame of one byte"}
	}
	code := int(binary.BigEndian.Uint16(payload))
	if !receivable(code) {
		return 0, "", &Violation{CodeProtocol, fmt.Sprintf("close code %d", code)}
	}
	if !utf8.Valid(payload[2:]) {
		return 0, "", &Violation{CodeInvalidText, "close reason is not UTF-8"}
	}
	return code, string(payload[2:]), nil
}

// receivable says whether a peer may put code on the wire: RFC 6455 section 7.4 and the IANA registry.
func receivable(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004 || code == CodeNoStatus || code == 1006:
		return false
	}
	return code >= CodeNormal && code <= 1014
}

// unmask applies the four-byte key to b, RFC 6455 section 5.3.
func unmask(b, key []byte) {
	k := uint64(binary.LittleEndian.Uint32(key))
	k |= k << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}
