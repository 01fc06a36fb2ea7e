package graph

import (
	"bytes"
	"encoding/json"
)

// member is one field of a JSON object.
type member struct {
	name  string
	value json.RawMessage // a slice of the text that was read
}

// appendMembers appends the members of a JSON object in the order of the text; false if data is not a valid one.
func appendMembers(dst []member, data []byte) ([]member, bool) {
	if !json.Valid(data) {
		return dst, false
	}
	i := skipSpace(data, 0)
	if data[i] != '{' {
		return dst, false
	}
	for i = skipSpace(data, i+1); data[i] == '"'; i = skipSpace(data, i+1) {
		end := skipString(data, i)
		m := member{name: unquoted(data[i:end])}
		i = skipSpace(data, skipSpace(data, end)+1) // over the colon
		end = skipValue(data, i)
		m.value = data[i:end:end]
		dst = append(dst, m)
		if i = skipSpace(data, end); data[i] == '}' {
			break
		}
	}
	return dst, true
}

// The skip functions return the index after what begins at i, in valid JSON.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
		default: // a number or a word
			for i < len(b) && bytes.IndexByte([]byte(",:]} \t\n\r"), b[i]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// unquoted is the value of a valid JSON string.
func unquoted(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // it is valid
	return s
}
