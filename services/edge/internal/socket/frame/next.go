package frame

import "encoding/binary"

// Next looks at the server frame at the front of b, which is the inverse of Append, and returns its kind, its payload (a
// part of b) and its size with the header. The size is 0 if there is no whole frame.
func Next(b []byte) (op Opcode, payload []byte, size int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	start, n := 2, uint64(b[1])
	switch {
	case n == 126 && len(b) >= 4:
		start, n = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		start, n = 10, binary.BigEndian.Uint64(b[2:])
	case n > 125: // masked, or not all of the header
		return 0, nil, 0
	}
	if n > uint64(len(b)-start) {
		return 0, nil, 0
	}
	size = start + int(n)
	return Opcode(b[0] & 0x0F), b[start:size], size
}
