package graph

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// The stored forms are made of unsigned varints, byte strings behind their length, ids of 16 bytes and single bytes.

func appendBytes[T ~string | ~[]byte](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendMap(dst []byte, values map[string]json.RawMessage) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	var few [fewKeys]string
	for _, key := range appendKeys(few[:0], values) {
		dst = appendBytes(appendBytes(dst, key), values[key])
	}
	return dst
}

// reader takes a stored form apart. The first thing that is wrong stays in err, and everything after it reads as zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: stored form: %s", ErrBroken, fmt.Sprintf(format, args...))
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("it ends too early")
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || (n > 1 && r.b[n-1] == 0) {
		r.fail("a length is not one")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// bytes returns the next byte string, which shares memory with the stored form.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail("it ends too early")
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) text() string {
	b := r.bytes()
	if !utf8.Valid(b) {
		r.fail("a text is not UTF-8")
		return ""
	}
	return string(b)
}

func (r *reader) id() (id NodeID) {
	if len(r.b) < len(id) {
		r.fail("it ends too early")
		return id
	}
	copy(id[:], r.b)
	r.b = r.b[len(id):]
	return id
}

func (r *reader) value() json.RawMessage {
	v := r.bytes()
	if r.err == nil && (!utf8.Valid(v) || !json.Valid(v)) {
		r.fail("a value is not JSON")
	}
	return v
}

// count reads how many entries of at least size bytes follow.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail("it ends too early")
		return 0
	}
	return int(n)
}

func (r *reader) valueMap() map[string]json.RawMessage {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	values, last := make(map[string]json.RawMessage, n), ""
	for i := range n {
		key := r.text()
		if r.err == nil && i > 0 && key <= last {
			r.fail("keys are not in order")
		}
		values[key], last = r.value(), key
		if r.err != nil {
			return nil
		}
	}
	return values
}

// done returns what went wrong, trailing bytes included.
func (r *reader) done() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	return r.err
}
