package engineiotest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Wire is a WebSocket of which single frames are seen.
type Wire struct {
	NC net.Conn
	tb testing.TB
	r  *bufio.Reader
}

// Upgrades asks for a WebSocket, with headers given as names and values, and returns the answer, and the connection if
// it is 101.
func (sys *System) Upgrades(query string, headers ...string) (Answer, *Wire) {
	sys.tb.Helper()
	nc, err := net.Dial("tcp", sys.Addr)
	if err != nil {
		sys.tb.Fatal(err)
	}
	sys.tb.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	request := "GET /engine.io/?" + query + " HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for i := 0; i+1 < len(headers); i += 2 {
		request += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		sys.tb.Fatal(err)
	}
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		sys.tb.Fatal(err)
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return a, &Wire{nc, sys.tb, r}
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	a.Body = string(text)
	return a, nil
}

// Dials opens a WebSocket.
func (sys *System) Dials(query string) *Wire {
	sys.tb.Helper()
	a, w := sys.Upgrades(query)
	if w == nil {
		sys.tb.Fatalf("upgrade answered %d %q", a.Status, a.Body)
	}
	return w
}

// OpensWebSocket makes a session over a WebSocket. Extra is more of the query, beginning with &.
func (sys *System) OpensWebSocket(extra ...string) *Wire {
	sys.tb.Helper()
	w := sys.Dials("EIO=4&transport=websocket" + strings.Join(extra, ""))
	if op, text := w.Next(); op != 0x81 || !strings.HasPrefix(text, "0{") {
		sys.tb.Fatalf("the first frame is %#x %q", op, text)
	}
	return w
}

// Mask is a client frame with the given first byte.
func Mask(first byte, payload string) []byte {
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

// Says sends text messages, all at once.
func (w *Wire) Says(texts ...string) {
	w.tb.Helper()
	var all []byte
	for _, text := range texts {
		all = append(all, Mask(0x81, text)...)
	}
	w.Sends(all)
}

// SaysBinary sends binary messages, all at once.
func (w *Wire) SaysBinary(payloads ...string) {
	w.tb.Helper()
	var all []byte
	for _, p := range payloads {
		all = append(all, Mask(0x82, p)...)
	}
	w.Sends(all)
}

// Sends sends bytes as they are.
func (w *Wire) Sends(b []byte) {
	w.tb.Helper()
	if _, err := w.NC.Write(b); err != nil {
		w.tb.Fatal(err)
	}
}

// Next reads one frame and returns its first byte and its payload.
func (w *Wire) Next() (first byte, payload string) {
	w.tb.Helper()
	var h [2]byte
	if _, err := io.ReadFull(w.r, h[:]); err != nil {
		w.tb.Fatalf("reading a frame: %v", err)
	}
	n := uint64(h[1])
	var long [8]byte
	switch n {
	case 126:
		_, _ = io.ReadFull(w.r, long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		_, _ = io.ReadFull(w.r, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, w.r, int64(n)); err != nil {
		w.tb.Fatalf("reading a frame: %v", err)
	}
	return h[0], body.String()
}

// Hears reads text messages.
func (w *Wire) Hears(texts ...string) {
	w.tb.Helper()
	for _, text := range texts {
		if op, got := w.Next(); op != 0x81 || got != text {
			w.tb.Fatalf("got frame %#x %.200q, want %q", op, got, text)
		}
	}
}

// HearsBinary reads binary messages.
func (w *Wire) HearsBinary(payloads ...string) {
	w.tb.Helper()
	for _, p := range payloads {
		if op, got := w.Next(); op != 0x82 || got != p {
			w.tb.Fatalf("got frame %#x %.200q, want binary %q", op, got, p)
		}
	}
}

// NoStatus is the code of a close frame that carries none.
const NoStatus = 1005

// IsClosed reads a close frame with that code, and then the end of the stream.
func (w *Wire) IsClosed(code uint16) {
	w.tb.Helper()
	op, payload := w.Next()
	if op != 0x88 {
		w.tb.Fatalf("got frame %#x %q, want a close frame", op, payload)
	}
	got := uint16(NoStatus)
	if len(payload) >= 2 {
		got = binary.BigEndian.Uint16([]byte(payload))
	}
	if got != code {
		w.tb.Fatalf("closed with %d, want %d", got, code)
	}
	if _, err := w.r.ReadByte(); err == nil {
		w.tb.Fatal("a byte came after the close frame")
	}
}
