package graph

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString appends s, valid UTF-8, as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		}
		i += size
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendID(dst []byte, id NodeID) []byte {
	dst = append(dst, '"')
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return append(dst, '"')
}

func appendOptionalID(dst []byte, id NodeID) []byte {
	if id == (NodeID{}) {
		return append(dst, "null"...)
	}
	return appendID(dst, id)
}

func appendValue(dst []byte, v json.RawMessage) []byte {
	if v == nil {
		return append(dst, "null"...)
	}
	return append(dst, v...)
}

// appendObject appends values as a JSON object with sorted keys.
func appendObject(dst []byte, values map[string]json.RawMessage) []byte {
	dst = append(dst, '{')
	var few [fewKeys]string
	for i, key := range appendKeys(few[:0], values) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, key), ':')
		dst = append(dst, values[key]...)
	}
	return append(dst, '}')
}

func sortedKeys(values map[string]json.RawMessage) []string {
	if len(values) == 0 {
		return nil
	}
	return appendKeys(make([]string, 0, len(values)), values)
}

// fewKeys is how many keys most nodes have at most.
const fewKeys = 8

// appendKeys appends the keys of values in order to dst, which is empty.
func appendKeys(dst []string, values map[string]json.RawMessage) []string {
	for key := range values {
		dst = append(dst, key)
	}
	slices.Sort(dst)
	return dst
}
