// Package drive sends commands to a Talus at a given pace.
//
// It promises an open loop: every command is due at a moment that does not depend on the answers before it, and
// latency counts from that moment, so a server that stalls is charged with all that came late because of it. A rate of
// 0 is a closed loop: each caller sends when it has its answer. Goroutines: one per caller while Run runs.
package drive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// answerLimit bounds the wait for one answer.
const answerLimit = 30 * time.Second

// Caller is one keep-alive HTTP connection. It does what a benchmark of the server needs and no more, because the
// standard client costs more than the server it would measure. It is not safe for concurrent use.
type Caller struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
	body []byte
}

// NewCaller makes a caller of the server at a host:port. It connects when it is first used.
func NewCaller(addr string) *Caller { return &Caller{addr: addr} }

// Close ends the connection.
func (c *Caller) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Do sends a whole request and reads the answer, whose body is valid until the next call. After an error the next call
// connects again.
func (c *Caller) Do(request []byte) (status int, body []byte, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.addr, answerLimit); err != nil {
			return 0, nil, err
		}
		c.in = bufio.NewReaderSize(c.conn, 4<<10)
	}
	status, body, err = c.exchange(request)
	if err != nil {
		c.Close()
	}
	return status, body, err
}

func (c *Caller) exchange(request []byte) (int, []byte, error) {
	if err := c.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.line()
	if err != nil {
		return 0, nil, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, nil, fmt.Errorf("drive: %.100q is no HTTP answer", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, nil, err
	}
	length, err := c.headers()
	if err != nil {
		return 0, nil, err
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, c.body, err
}

// headers reads up to the body and returns its length.
func (c *Caller) headers() (length int, err error) {
	const name = "content-length:"
	length = -1
	for {
		line, err := c.line()
		switch {
		case err != nil:
			return 0, err
		case len(line) == 0 && length < 0:
			return 0, errors.New("drive: an answer without a length")
		case len(line) == 0:
			return length, nil
		case len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return 0, err
			}
		}
	}
}

func (c *Caller) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}
