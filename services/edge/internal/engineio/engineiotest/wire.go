package engineiotest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
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
	nc := sockettest.Dial(sys.tb, sys.Addr, sockettest.Handshake("/engine.io/?"+query, headers...))
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

// Says sends text messages, all at once.
func (w *Wire) Says(texts ...string) {
	w.tb.Helper()
	var all []byte
	for _, text := range texts {
		all = append(all, sockettest.Mask(0x81, text)...)
	}
	w.Sends(all)
}

// SaysBinary sends binary messages, all at once.
func (w *Wire) SaysBinary(payloads ...string) {
	w.tb.Helper()
	var all []byte
	for _, p := range payloads {
		all = append(all, sockettest.Mask(0x82, p)...)
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
	first, payload, err := sockettest.Read(w.r)
	if err != nil {
		w.tb.Fatalf("reading a frame: %v", err)
	}
	return first, payload
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
