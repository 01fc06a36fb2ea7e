package follow

import (
	"bytes"
	"fmt"
	"strconv"
)

// Exchange is a dialect whose stream comes in pieces, as the bodies of answers to requests. Its Request begins a session,
// and Next reads a body that is whole.
type Exchange interface {
	Dialect
	// Session finds what names the session in the answer to the first request.
	Session(body []byte) string
	// AppendPoll appends the request for what comes next.
	AppendPoll(dst []byte, host, session string) []byte
	// AppendPost appends the request that takes answers to the server. They are joined by Separator.
	AppendPost(dst []byte, host, session string, answers []byte) []byte
}

// Separator stands between the packets of a body.
const Separator = 0x1E

// Leave is what a client posts that says good-bye.
const Leave = "1"

// Polling is the namespace /graph of api.md, part 10, over HTTP long-polling, as the planned dialect.
type Polling struct{ planned SocketIO }

// Name implements Dialect.
func (Polling) Name() string { return "polling" }

// Chained implements Dialect.
func (Polling) Chained() bool { return false }

// Accepts implements Dialect.
func (Polling) Accepts(status int) bool { return status == 200 }

// Request implements Dialect.
func (Polling) Request(host, _, _ string) []byte {
	return fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: %s\r\n\r\n", host)
}

// Next implements Dialect.
func (d Polling) Next(session string, body []byte) (Piece, error) {
	if body[0] == Separator {
		return Piece{Size: 1}, nil
	}
	packet, _, _ := bytes.Cut(body, []byte{Separator})
	p, err := d.planned.packet(session, packet)
	p.Size = len(packet)
	return p, err
}

// Session implements Exchange.
func (Polling) Session(body []byte) string {
	sid, _ := member(body, `0{"sid":"`)
	return string(sid)
}

// AppendPoll implements Exchange.
func (Polling) AppendPoll(dst []byte, host, session string) []byte {
	return append(about(dst, "GET", host, session), "\r\n"...)
}

// AppendPost implements Exchange.
func (Polling) AppendPost(dst []byte, host, session string, answers []byte) []byte {
	dst = append(about(dst, "POST", host, session), "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(len(answers)), 10), "\r\n\r\n"...)
	return append(dst, answers...)
}

func about(dst []byte, method, host, session string) []byte {
	dst = append(append(dst, method...), " /socket.io/?EIO=4&transport=polling&sid="...)
	dst = append(append(dst, session...), " HTTP/1.1\r\nHost: "...)
	return append(append(dst, host...), "\r\n"...)
}

// Body is the whole answer to a request. Size 0 means that it is not complete.
type Body struct {
	Size   int // with its head
	Status int
	Text   []byte
}

// Whole reads an HTTP response that says how long it is.
func Whole(b []byte) (Body, error) {
	size, status, err := Head(b)
	if err != nil || size == 0 {
		return Body{}, err
	}
	const name = "\r\nContent-Length: "
	length, ok := number(b[:size], name)
	if !ok {
		return Body{}, fmt.Errorf("%w: %.200q does not say how long it is", ErrGarble, b[:size])
	}
	if uint64(len(b)-size) < length {
		return Body{}, nil
	}
	return Body{size + int(length), status, b[size : size+int(length)]}, nil
}
