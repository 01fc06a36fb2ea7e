package socket_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"
)

// raw is a client that sees single frames.
type raw struct {
	tb testing.TB
	net.Conn
}

// handshake is a minimal upgrade request for target.
func handshake(target string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// dial upgrades at addr; early are bytes sent in the same segment as the request.
func dial(tb testing.TB, addr, target string, early ...byte) *raw {
	tb.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := nc.Write(append([]byte(handshake(target)), early...)); err != nil {
		tb.Fatal(err)
	}
	var head []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, one[0]) {
		if _, err := nc.Read(one); err != nil {
			tb.Fatalf("reading the answer to the upgrade: %v after %q", err, head)
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		tb.Fatalf("upgrade answered %q", head)
	}
	return &raw{tb, nc}
}

// mask returns a client frame with the given first byte.
func mask(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := []byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func (r *raw) send(bs ...[]byte) {
	r.tb.Helper()
	for _, b := range bs {
		if _, err := r.Write(b); err != nil {
			r.tb.Fatal(err)
		}
	}
}

// next reads one server frame and returns its first byte and its payload.
func (r *raw) next() (first byte, payload string, err error) {
	var h, long [8]byte
	if err := r.full(h[:2]); err != nil {
		return 0, "", err
	}
	n := uint64(h[1])
	switch n {
	case 126:
		err = r.full(long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		err = r.full(long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return 0, "", err
	}
	body := make([]byte, n)
	err = r.full(body)
	return h[0], string(body), err
}

// wants reads one frame and compares it.
func (r *raw) wants(first byte, payload string) {
	r.tb.Helper()
	f, p, err := r.next()
	if err != nil || f != first || p != payload {
		r.tb.Fatalf("got frame %#x %.80q, %v; want %#x %.80q", f, p, err, first, payload)
	}
}

// wantsClose reads a close frame with the code and then the end of the stream.
func (r *raw) wantsClose(code uint16) {
	r.tb.Helper()
	f, p, err := r.next()
	if err != nil || f != 0x88 || len(p) < 2 || binary.BigEndian.Uint16([]byte(p)) != code {
		r.tb.Fatalf("got frame %#x %q, %v; want a close frame with %d", f, p, err, code)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		r.tb.Fatal("a byte came after the close frame")
	}
}

func (r *raw) full(b []byte) error {
	for len(b) > 0 {
		n, err := r.Read(b)
		b = b[n:]
		if err != nil && len(b) > 0 {
			return err
		}
	}
	return nil
}
