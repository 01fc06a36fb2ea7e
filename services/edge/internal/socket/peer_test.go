package socket_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// raw is a client that sees single frames.
type raw struct {
	tb testing.TB
	net.Conn
}

// dial upgrades at addr; early are bytes sent in the same segment as the request.
func dial(tb testing.TB, addr, target string, early ...byte) *raw {
	tb.Helper()
	nc := sockettest.Dial(tb, addr, sockettest.Handshake(target)+string(early))
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

func (r *raw) send(bs ...[]byte) {
	r.tb.Helper()
	for _, b := range bs {
		if _, err := r.Write(b); err != nil {
			r.tb.Fatal(err)
		}
	}
}

// next reads one server frame and returns its first byte and its payload.
func (r *raw) next() (first byte, payload string, err error) { return sockettest.Read(r) }

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
