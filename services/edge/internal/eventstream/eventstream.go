// Package eventstream writes server-sent events: the text/event-stream format of the WHATWG HTML standard, section 9.2.
// It promises that what it is given as data is what a client's parser gives back, whatever bytes it has, but for line
// ends, which all become line feeds. It does no I/O and parses nothing.
package eventstream

import (
	"bytes"
	"strconv"
	"time"
)

// ContentType is the media type of the format. Its text is always UTF-8.
const ContentType = "text/event-stream"

// Append adds one event to dst. The id, which a client sends back as Last-Event-ID, is left out when it is empty; the
// client then keeps the one it has. Neither id nor name may contain a line end.
func Append(dst, id []byte, name string, data []byte) []byte {
	if len(id) > 0 {
		dst = append(append(append(dst, "id: "...), id...), '\n')
	}
	dst = append(append(append(dst, "event: "...), name...), '\n')
	for end := lineEnd(data); end >= 0; end = lineEnd(data) {
		dst = append(append(append(dst, "data: "...), data[:end]...), '\n')
		if bytes.HasPrefix(data[end:], []byte("\r\n")) {
			end++
		}
		data = data[end+1:]
	}
	return append(append(append(dst, "data: "...), data...), "\n\n"...)
}

// lineEnd is the place of the first line feed or carriage return, -1 if there is none, as in compact JSON.
func lineEnd(data []byte) int {
	if feed := bytes.IndexByte(data, '\n'); feed >= 0 {
		data = data[:feed+1]
	}
	return bytes.IndexAny(data, "\r\n")
}

// AppendRetry adds the time, in whole milliseconds, that the client waits before it connects again after an end.
func AppendRetry(dst []byte, after time.Duration) []byte {
	return append(strconv.AppendInt(append(dst, "retry: "...), after.Milliseconds(), 10), '\n')
}

// AppendBeat adds a comment, which clients ignore: it keeps what lies between from closing an idle connection.
func AppendBeat(dst []byte) []byte { return append(dst, ":\n\n"...) }
