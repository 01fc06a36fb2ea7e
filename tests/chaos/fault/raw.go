package fault

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/talus-tally/talus/tests/chaos/topology"
)

// rawSocket is a WebSocket connection on which anything can be sent (RFC 6455), past all proxies and with a small
// receive buffer.
type rawSocket struct {
	conn net.Conn
	in   *bufio.Reader
	mu   sync.Mutex // writes
}

// dialRaw opens a connection on an edge; query is appended to the path.
func dialRaw(ctx context.Context, edge *topology.Instance, query string) (*rawSocket, error) {
	dialer := net.Dialer{Timeout: 2 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(err, cerr)
	}}
	host := strings.TrimPrefix(edge.Bare, "http://")
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	r := &rawSocket{conn: conn, in: bufio.NewReader(conn)}
	if err := r.upgrade(host, query); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return r, nil
}

func (r *rawSocket) upgrade(host, query string) error {
	if err := r.conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.conn, "GET /ws%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", query, host)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(r.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: status %d", resp.StatusCode)
	}
	return r.conn.SetDeadline(time.Time{})
}

func (r *rawSocket) close() { _ = r.conn.Close() }

func (r *rawSocket) write(bytes []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.conn.SetWriteDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	_, err := r.conn.Write(bytes)
	return err
}

// text sends a text message.
func (r *rawSocket) text(message string) error { return r.write(frame(opText|fin, []byte(message))) }

// discard reads until the connection ends.
func (r *rawSocket) discard() { _, _ = io.Copy(io.Discard, r.in) }

// closeCode reads until the peer closes and returns its code; 0 if it gave none in time.
func (r *rawSocket) closeCode(limit time.Duration) int {
	if r.conn.SetReadDeadline(time.Now().Add(limit)) != nil {
		return 0
	}
	for {
		var head [2]byte
		if _, err := io.ReadFull(r.in, head[:]); err != nil {
			return 0
		}
		size := int64(head[1] & 0x7f)
		switch size {
		case 126:
			var n uint16
			if binary.Read(r.in, binary.BigEndian, &n) != nil {
				return 0
			}
			size = int64(n)
		case 127:
			if binary.Read(r.in, binary.BigEndian, &size) != nil {
				return 0
			}
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(r.in, payload); err != nil {
			return 0
		}
		if head[0]&0x0f == opClose && size >= 2 {
			return int(binary.BigEndian.Uint16(payload))
		}
	}
}

// Parts of a frame's first byte (RFC 6455, section 5.2).
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	fin        = 0x80
	reserved   = 0x40
)

// frame is a masked frame.
func frame(first byte, payload []byte) []byte {
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	out := append(header(first, len(payload), 0x80), mask[:]...)
	for i, b := range payload {
		out = append(out, b^mask[i%4])
	}
	return out
}

func header(first byte, size int, masked byte) []byte {
	switch {
	case size < 126:
		return []byte{first, masked | byte(size)}
	case size < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{first, masked | 126}, uint16(size))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, masked | 127}, uint64(size))
	}
}

// malformation is something that no client may send.
type malformation struct {
	name  string
	bytes []byte
	code  int // that it must be answered with, if with any; 0: any, or none
}

func malformations(session string) []malformation {
	join := func(member string) []byte {
		return frame(opText|fin, []byte(`{"type":"join","id":"1","session_id":"`+session+`",`+member+`}`))
	}
	huge := frame(opText|fin, []byte(`"`+strings.Repeat("x", 2<<20)+`"`))
	return []malformation{
		{"bad UTF-8", frame(opText|fin, []byte("{\"type\":\"\xff\xfe\"}")), 1007},
		{"binary", frame(opBinary|fin, []byte("abc")), 1003},
		{"unmasked", append(header(opText|fin, 2, 0), '{', '}'), 1002},
		{"reserved bit", frame(opText|fin|reserved, []byte("{}")), 1002},
		{"unknown opcode", frame(0x3|fin, []byte("{}")), 1002},
		{"fragmented ping", frame(opPing, []byte("x")), 1002},
		{"long ping", frame(opPing|fin, []byte(strings.Repeat("x", 200))), 1002},
		{"continuation of nothing", frame(opContinue|fin, []byte("{}")), 1002},
		{"text in a text", append(frame(opText, []byte("{")), frame(opText|fin, []byte("}"))...), 1002},
		{"2 MiB", huge, 1009},
		{"a length of 2^63", append([]byte{opText | fin, 0x80 | 127}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 0},
		{"close of one byte", frame(opClose|fin, []byte{3}), 1002},
		{"close with a forbidden code", frame(opClose|fin, []byte{0x03, 0xed}), 1002},
		{"no JSON", frame(opText|fin, []byte("hello")), 0},
		{"JSON 200 deep", frame(opText|fin, []byte(strings.Repeat(`{"a":`, 200)+"1"+strings.Repeat("}", 200))), 0},
		{"a huge version", join(`"after":"99999999999999999999999999"`), 0},
		{"a number for an id", join(`"id":1e400`), 0},
		{"twice the same member", join(`"session_id":"x"`), 0},
		{"half a frame", frame(opText|fin, []byte("{}"))[:3], 0},
	}
}

// malformed sends an edge what no client may send, each on a connection of its own, and wants each to be sent away.
func malformed(ctx context.Context, s *Scene) (Heal, error) {
	edge := s.Edge()
	codes := map[int]int{}
	for _, bad := range malformations(s.Sessions[0]) {
		code, err := offend(ctx, edge, bad)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", bad.name, err)
		}
		codes[code]++
		if bad.code != 0 && code != bad.code {
			s.Wrong("%s: closed with %d, want %d", bad.name, code, bad.code)
		}
	}
	s.Note("malformed frames were answered with %v", codes)
	return func(ctx context.Context) error {
		if !edge.Alive() {
			s.Wrong("%s did not survive", edge.Name)
			return edge.Restart(ctx)
		}
		return edge.Ready(ctx)
	}, nil
}

// offend sends one malformation and returns the close code that it was answered with, 0 for none.
func offend(ctx context.Context, edge *topology.Instance, bad malformation) (int, error) {
	r, err := dialRaw(ctx, edge, "")
	if err != nil {
		return 0, err
	}
	defer r.close()
	if err := r.write(bad.bytes); err != nil {
		return 0, nil // sent away before it was through
	}
	return r.closeCode(3 * time.Second), nil
}
