package httpapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// caller is a client that costs next to nothing, so that a benchmark measures the server: it sends requests that were
// made before, and of an answer it reads the status and the length. It is used by one goroutine.
type caller struct {
	conn     net.Conn
	in       *bufio.Reader
	requests [][]byte
}

// number stands in a request where each command has another one.
const number = "#########"

func dial(url string) (*caller, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, in: bufio.NewReaderSize(conn, 4<<10)}, nil
}

// add makes a request that renames the item.
func (c *caller) add(session, item string) {
	body := fmt.Sprintf(`{"session_id":%q,"command_type":"UpdateProperty","data":{"node_id":%q,"property_id":"name","new_value":"name %s"}}`,
		session, item, number)
	c.requests = append(c.requests, fmt.Appendf(nil, "POST /api/v1/commands/execute HTTP/1.1\r\nHost: talus\r\nContent-Type: application/json\r\n"+
		"Prefer: return=minimal\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

// rename sends one of the requests with the number n, and waits for the answer.
func (c *caller) rename(n int64) error {
	request := c.requests[int(n*7919)%len(c.requests)]
	end := len(request) - len(`"}}`)
	digits := request[end-len(number) : end]
	for i := len(digits) - 1; i >= 0; i, n = i-1, n/10 {
		digits[i] = byte('0' + n%10)
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	return c.answered()
}

func (c *caller) answered() error {
	length, ok := 0, false
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); {
		case first:
			ok = bytes.HasPrefix(line, []byte("HTTP/1.1 200 "))
		case found:
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		case len(line) == 2:
			if _, err := c.in.Discard(length); err != nil {
				return err
			}
			if !ok {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
	}
}
